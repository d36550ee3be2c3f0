"""A real PostgreSQL for tests: the system's, on a socket in a temporary folder.

Owns how it starts (never as root) and stops, how a standby follows it and takes over, and gives
each test an empty database in a few milliseconds: one that another test has left, with the tables
of a store or without any. It ends with the tests, however they end: the warden knows its processes.
The files that a server starts with are made once for all processes of a run; each takes a copy.
"""

import fcntl
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import psycopg
import pytest

from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # of the sockets: only part of their names
    "fsync": "off",  # tests kill processes, not machines
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
USERS = ("postgres", "nobody")
TEMPLATE = "template1"
"""Each server has it, with the tables of a store and nothing in them."""
WITH_PASSWORD = "guarded"
"""A user that needs a password; everybody else needs none."""


HBA = f"""local all {WITH_PASSWORD} scram-sha-256
local all all trust
local replication all trust
host all all 127.0.0.1/32 trust
"""
SHAPE = """
    SELECT relname || '.' || attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT tgname FROM pg_trigger
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1
"""
"""Lists what a test can add to a database: columns of tables and indexes, triggers, functions."""
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
TABLES = ["execution", "event", "flow", "flow_version", "pack", "datastore", "writer"]
"""All that hold something of their own; the others are emptied with them."""
EMPTY = "; ".join(f"DELETE FROM {table}" for table in TABLES)
"""TRUNCATE takes ten times as long."""
CHANGED = """
    SELECT nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
    UNION ALL SELECT 'settings' FROM pg_database JOIN pg_db_role_setting ON setdatabase = oid
    WHERE datname = current_database()
"""
"""Lists what a test can add to a database outside of its schema."""
NO_TABLES = """
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO public
"""
"""Leaves the schema as it was in a new database."""


class PostgresServer:
    """Runs from :meth:`start` to :meth:`stop`, any number of times; ``remove`` ends it for good.

    It starts with a copy of ``files``, which is a folder, or else with new ones. With the folder of
    a ``primary`` that started with the same, it is a standby of that one, until :meth:`promote`.
    """

    def __init__(self, files: Path | None = None, *, primary: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.files = self.folder / "data"
        self.user = _other_user() if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._empty: list[str] = []
        self._without_tables: list[str] = []
        self._settings = {**SETTINGS, "unix_socket_directories": str(self.folder)}
        if files is None:
            self._make_files()
        else:  # with their owner, who is not root
            subprocess.run(["cp", "-Rp", files, self.files], check=True)
        if primary is not None:
            (self.files / "standby.signal").touch()
            self._settings["primary_conninfo"] = f"host={primary} user=flyte"
        self.start()

    def start(self, **settings: str) -> None:
        given = self._settings | settings
        self._port = given["port"]
        options = [each for name, value in given.items() for each in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_tool("postgres"), "-D", "data", *options],
                cwd=self.folder, user=self.user, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._answers, "PostgreSQL answers")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends its connections, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def promote(self) -> None:
        """Make it the server that takes writes."""
        self.admin("SELECT pg_promote()")

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, database: str, *others: "PostgresServer") -> str:
        """The URL of a database on this server, or on whichever of these takes writes."""
        folders = ",".join(str(each.folder) for each in (self, *others))
        return f"postgresql://flyte@/{database}?host={folders}&port={self._port}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty store."""
        name = self._empty.pop() if self._empty else self.create(TEMPLATE)
        yield self.url(name)
        self._take_back(name)

    @contextmanager
    def without_tables(self) -> Iterator[str]:
        """The name of a database that has none; to clear one costs an eighth of making it."""
        name = self._without_tables.pop() if self._without_tables else self.create()
        yield name
        self.admin(END_OTHERS, name)
        if self.admin(CHANGED, name):
            self.drop(name)
        else:
            self.admin(NO_TABLES, name)
            self._without_tables.append(name)

    def admin(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def create(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = f"store_{next(self._numbers)}"
        self.admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.admin(f"DROP DATABASE {name} WITH (FORCE)")

    def _take_back(self, name: str) -> None:
        """Empty a store for the next test, which costs a quarter of making one."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(END_OTHERS)
            is_a_store = connection.execute(SHAPE).fetchall() == self._shape
            if is_a_store:
                connection.execute(EMPTY)
        if is_a_store:
            self._empty.append(name)
        else:
            self.drop(name)

    def _answers(self) -> bool:
        try:
            self.admin("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @cached_property
    def _shape(self) -> list[tuple[object, ...]]:
        return self.admin(SHAPE, TEMPLATE)

    def _make_files(self) -> None:
        self._call(
            "initdb", "--pgdata=data", "--no-sync", "--auth=trust", "--username=flyte",
            "--encoding=UTF8", "--no-locale",
        )  # fmt: skip
        (self.files / "pg_hba.conf").write_text(HBA)

    def _call(self, tool: str, *arguments: str) -> None:
        command = [_tool(tool), *arguments]
        subprocess.run(command, cwd=self.folder, user=self.user, check=True, capture_output=True)


def make_files(files: Path) -> None:
    """Make a folder of what servers start with."""
    server = PostgresServer()
    PostgresDatabase(server.url(TEMPLATE)).close()
    server.stop()
    subprocess.run(["mv", server.files, files], check=True)
    server.remove()


def _other_user() -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in USERS if name in known)


def _tool(name: str) -> str:
    """A program of PostgreSQL, the newest one; skips the test where there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip("PostgreSQL is not installed here (Debian's package: postgresql)")
    return found


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


# -- for pytest --------------------------------------------------------------------------------

POSTGRES = "postgres"
SQLITE = "sqlite"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store", choices=[SQLITE, POSTGRES],
        help="run the tests of embedded flyte on this store only; else some run on both",
    )  # fmt: skip


def store_kinds(config: pytest.Config, *, is_for_both: bool) -> list[str]:
    """On which stores a test runs; most on SQLite alone, unless the option says otherwise."""
    if only := config.getoption("--store"):
        return [only]
    return [SQLITE, POSTGRES] if is_for_both else [SQLITE]


@pytest.fixture(scope="session")
def postgres_files(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What servers start with; the first process of a run that needs it makes it for the others."""
    folder = tmp_path_factory.getbasetemp()
    run = folder if worker_id == "master" else folder.parent
    files = run / "postgres"
    with (run / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not files.exists():
            make_files(files)
    return files


@pytest.fixture(scope="session")
def postgres(postgres_files: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(postgres_files)
    yield server
    server.remove()
