"""Serves a folder, and again after each change.

Owns the order of things. Must not know how changes are found or what serving is.
"""

import logging
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from flyte_host import logs
from flyte_host.dev.dev_options import DevOptions
from flyte_host.dev.dev_process import DevProcess
from flyte_host.dev.folder_watch import FolderWatch
from flyte_host.errors import FlyteHostError
from flyte_host.host.shutdown import StopRequest, catch_stop

log = logging.getLogger(__name__)


class Restarter:
    """:meth:`run` returns after a signal that asks for a stop; raises FlyteHostError."""

    def __init__(self, options: DevOptions) -> None:
        self._options = options
        self._folder = FolderWatch(options.path)
        self._stopping = threading.Event()
        self._problem: FlyteHostError | None = None

    def run(self) -> None:
        with catch_stop() as request:  # it ends the process, so everything else ends first
            with TemporaryDirectory(prefix="flyte-host-") as state:
                self._serve(request, replace(self._options, state=Path(state)))
            if self._problem is not None and request.caught is None:
                raise self._problem

    def _serve(self, request: StopRequest, options: DevOptions) -> None:
        process = DevProcess(options)
        watching = threading.Thread(
            target=self._watch, args=(process, request), name="folder watch", daemon=True
        )
        process.start()
        watching.start()
        request.wait()
        self._stopping.set()
        watching.join()
        process.stop()

    def _watch(self, process: DevProcess, request: StopRequest) -> None:
        try:
            for files in self._folder.changes(self._stopping):
                log.info("changed: %s", ", ".join(files))
                logs.flush()  # before the lines of the process that ends
                process.stop()
                process.start()
        except FlyteHostError as error:
            self._problem = error
            request.set()
