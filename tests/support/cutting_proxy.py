"""Between a client and PostgreSQL: cuts the connection at one moment of a test's choice."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from pathlib import Path

from flyte_host.testing.waiting import PATIENCE_SECONDS


class Cut(Enum):
    """What happens when a commit comes by."""

    NOTHING = "it passes"
    BEFORE = "it does not reach the server"
    AFTER = "its answer does not reach the client, nor the server what announces it"
    LATE = "it reaches the server when the client has given up"


COMMIT = b"COMMIT\0"
"""The whole statement: BEGIN says READ COMMITTED."""


class CuttingProxy:
    """Listens in ``folder`` like a PostgreSQL; cuts once each time that it is told to."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.cut = Cut.NOTHING
        self.cuts = 0
        self.meanwhile: Callable[[], object] = lambda: None
        """Done once the commit is held back, before the client learns of it unless it is late."""
        self._server = server / ".s.PGSQL.5432"
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()

    @contextmanager
    def running(self) -> Iterator["CuttingProxy"]:
        with ExitStack() as exits:
            exits.callback(self._close)
            self._start(self._accept)
            yield self

    def _close(self) -> None:
        for each in (self._listening, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for each in (self._listening, *self._sockets):
            each.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                try:
                    server.connect(str(self._server))
                except OSError:  # it is stopped
                    client.shutdown(socket.SHUT_RDWR)
                    continue
                self._start(self._copy, client, server, True)
                self._start(self._copy, server, client, False)

    def _copy(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while is_client and b"if_assigned" in data and COMMIT not in data:
                    data += source.recv(65536)  # a mark and its commit belong together
                cut = self.cut if is_client and COMMIT in data else Cut.NOTHING
                if cut is not Cut.NOTHING:
                    self.cut, self.cuts = Cut.NOTHING, self.cuts + 1
                if cut is Cut.AFTER:
                    data, _, _ = data.partition(b"SELECT pg_notify")
                if cut in {Cut.AFTER, Cut.LATE}:
                    # The answer finds nobody.
                    source.shutdown(socket.SHUT_RDWR)
                if cut is Cut.LATE:
                    self.meanwhile()
                if cut is not Cut.BEFORE:
                    target.sendall(data)
                if cut is Cut.BEFORE:
                    self.meanwhile()
                if cut is not Cut.NOTHING:
                    break
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
