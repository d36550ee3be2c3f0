"""A real PgBouncer between tests and their PostgreSQL: the system's package.

Owns how it starts, on a socket in a folder of its own, and stops. Must not know what is stored.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.postgres import PostgresServer

CONFIGURATION = """
[databases]
* = host={server} user=flyte
[pgbouncer]
pool_mode = {mode}
auth_type = any
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
default_pool_size = 40
"""


class PgBouncer:
    """Gives out sessions of ``server`` by ``mode``: ``session``, ``transaction``, ``statement``."""

    def __init__(self, server: PostgresServer, mode: str) -> None:
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if program is None:
            pytest.skip("PgBouncer is not installed here (Debian's package: pgbouncer)")
        self._program = program
        self._user = server.user
        self._folder = Path(tempfile.mkdtemp(prefix="pgb-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        text = CONFIGURATION.format(server=server.folder, mode=mode, folder=self._folder)
        (self._folder / "pgbouncer.ini").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, self._folder / "pgbouncer.ini"],
                user=self._user, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._answers, "PgBouncer answers")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        return f"postgresql://flyte@/{database}?host={self._folder}&port=6432"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def pgbouncer(server: PostgresServer, mode: str) -> Iterator[PgBouncer]:
    bouncer = PgBouncer(server, mode)
    bouncer.start()
    try:
        yield bouncer
    finally:
        bouncer.remove()
