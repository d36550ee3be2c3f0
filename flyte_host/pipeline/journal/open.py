"""How the journal's file is opened, and the words for one that cannot be used.

Owns the lock that makes a host the file's only one, the look whether the file is whole, and what
SQLite is told at the start. Must not know what the file holds.
"""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from flyte_host.errors import FlyteHostError
from flyte_host.pipeline.journal.schema import SCHEMA_VERSION, UnknownVersion, migrate, version_of

LARGEST_WAL_BYTES = 16 * 1024 * 1024


class JournalError(FlyteHostError):
    """The journal's file cannot be used; the text says which file, why, and what to do."""


class JournalClosed(JournalError):
    """The host has stopped, or is stopping: what the journal holds is for the next start."""


def own(path: Path) -> IO[bytes]:
    """A lock on a file beside the journal: two hosts would deliver everything twice."""
    beside = path.with_name(path.name + ".lock")
    try:
        owner = beside.open("ab")
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner.close()
        raise JournalError(
            f"journal {path}: another flyte-host uses it; give each host a [host] state of its own"
        ) from error
    return owner


def open_for_host(path: Path) -> sqlite3.Connection:
    """The file, made or migrated if need be; raises JournalError, and then leaves it as it was."""
    try:
        path.touch(mode=0o600)  # inputs and results are nobody else's; SQLite's side files follow
        db = sqlite3.connect(path, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; an old one keeps its own
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
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


def open_for_visit(path: Path) -> sqlite3.Connection:
    """The file of a host that may be running; never made, never migrated; raises JournalError."""
    if not path.exists():
        raise JournalError(
            f"journal {path}: there is none; flyte-host serve makes it, where [host] state says"
        )
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
            f"journal {path}: found schema {found}, this flyte-host reads {SCHEMA_VERSION}; an "
            "older one is brought up to date by the start of flyte-host serve"
        )
    return db


def identity(path: Path) -> tuple[object, ...]:
    """Which files lie there: the journal and its log of the latest writes, None for neither."""
    return _file(str(path)), _file(f"{path}-wal")


def _file(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116  before every take: a third of Path's time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def unusable(path: Path, error: Exception) -> JournalError:
    """For a host."""
    return JournalError(
        f"journal {path}: {error}; flyte-host takes no action that it cannot write down: "
        "check the folder's permissions and free space, or set another [host] state"
    )


def unvisitable(path: Path, error: Exception) -> JournalError:
    """For who looks at the file."""
    return JournalError(
        f"journal {path}: {error}; expected the [host] state of a flyte-host, and its folder to be "
        "writable"
    )


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Better at the start than in the middle of the work: the whole file is read once."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise JournalError(
            f"journal {path}: the file is damaged: {' '.join(found.split())}; move it away, with "
            "the files whose names begin alike, and flyte-host starts with an empty one: what it "
            "owed flyte is lost then"
        )
