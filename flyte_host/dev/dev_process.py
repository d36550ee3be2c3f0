"""The process that serves the folder, as the one that watches sees it.

Owns its start and its end: it ends with this one, however this one ends.
"""

import logging
import os
import subprocess
import sys
import threading

from flyte_host.dev.dev_config import LONGEST_DRAIN_SECONDS
from flyte_host.dev.dev_options import DevOptions

STOP_SECONDS = LONGEST_DRAIN_SECONDS + 3

log = logging.getLogger(__name__)


class DevProcess:
    """One process at a time: :meth:`start`, :meth:`stop`, and again.

    One that has not ended ``stop_seconds`` after it was asked to is killed.
    """

    def __init__(self, options: DevOptions, *, stop_seconds: float = STOP_SECONDS) -> None:
        self._options = options
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The number of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Serve; returns at once."""
        reads, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own code
                [sys.executable, "-P", "-m", "flyte_host.dev", self._options.encode(), str(reads)],
                cwd=self._options.path,
                # Bytecode goes by whole seconds: a second edit within one would not show.
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=(reads,),
                start_new_session=True,  # Ctrl-C is for this process, which then stops that one
            )
        finally:
            os.close(reads)
        self._stopping = False
        threading.Thread(
            target=self._report_end, args=(self._process,), name="dev process", daemon=True
        ).start()

    def stop(self) -> None:
        """End it, with what runs in it; returns when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        self._stopping = True
        process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(self._lifeline)

    def _report_end(self, process: "subprocess.Popen[bytes]") -> None:
        status = process.wait()
        if not self._stopping:
            log.warning("the host ended with exit code %s: waiting for a change", status)
