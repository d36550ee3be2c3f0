"""How the journal's file is opened.

Owns the check that the file is whole, and what SQLite is told at the start. Must not know what the
file holds.
"""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from flyte_host.pipeline.journal.errors import (
    JournalError,
    unusable,
    unvisitable,
    why_no_place,
)
from flyte_host.pipeline.journal.schema import (
    SCHEMA_VERSION,
    UnknownVersion,
    is_journal,
    migrate,
    version_of,
)

LARGEST_WAL_BYTES = 16 * 1024 * 1024

Identity = tuple[tuple[int, int] | None, ...]


def open_for_host(path: Path) -> sqlite3.Connection:
    """The file, made or migrated if need be, in autocommit mode.

    Raises JournalError, and then leaves the file as it was. Commits reach the operating system but
    not the disk (``synchronous = NORMAL``): flush the write-ahead log for that.
    """
    try:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; an old one keeps its own
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL_BYTES}")
        _check(db, path)
        migrate(db)
    except UnknownVersion as error:
        db.close()
        raise JournalError(
            f"journal {path}: found schema {error.found}, this flyte-host writes "
            f"{SCHEMA_VERSION}; run the flyte-host that wrote it, or set another [host] state"
        ) from error
    except sqlite3.Error as error:
        db.close()
        raise unusable(path, error) from error
    except JournalError:
        db.close()
        raise
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A second connection of a host: what it reads does not wait for what is being written."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA query_only = ON")
        version_of(db)  # opens the write-ahead log too, which may be deleted later
    except sqlite3.Error:
        db.close()
        raise
    return db


def open_for_visit(path: Path) -> sqlite3.Connection:
    """The file of a host that may be running; never made, never migrated; raises JournalError."""
    if not path.is_file():
        none = "no such file; flyte-host serve creates it, where [host] state says"
        raise JournalError(f"journal {path}: {why_no_place(path) or none}")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    except sqlite3.Error as error:
        raise unvisitable(path, error) from error
    try:
        found = version_of(db)
    except sqlite3.Error as error:
        db.close()
        raise unvisitable(path, error) from error
    if found != SCHEMA_VERSION:
        db.close()
        raise JournalError(
            f"journal {path}: found schema {found}, this flyte-host reads {SCHEMA_VERSION}; "
            "flyte-host serve upgrades an older one when it starts"
        )
    return db


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log, which is beside the file itself and not beside a link to it."""
    real = path.resolve()
    return real.with_name(f"{real.name}-wal")


def index_of(path: Path) -> Path:
    """Its index, which is beside it and has the locks between this process and others."""
    real = path.resolve()
    return real.with_name(f"{real.name}-shm")


def identity(paths: Iterable[str]) -> Identity:
    """Which files the journal and those beside it are now; None for a missing one."""
    return tuple(map(_file, paths))


def _file(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  a fourth of what it costs with a Path
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Better at the start than in the middle of the work: read the whole file once."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise JournalError(
            f"journal {path}: the file is damaged: {' '.join(found.split())}; move it away, "
            "with the files whose names begin with its name, and flyte-host starts with an empty "
            "one: what was not delivered is lost"
        )
    if version_of(db) and not is_journal(db):
        raise JournalError(
            f"journal {path}: found another kind of database, such as the store of a flyte; "
            "expected a journal, or a new file: set another [host] state"
        )
