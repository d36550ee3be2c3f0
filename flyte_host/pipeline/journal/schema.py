"""The journal's tables, and how older ones become today's.

Owns the schema and its version. Must not know what the rows are for.
"""

import sqlite3

SCHEMA_VERSION = 3

_TABLES = """
CREATE TABLE action (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    instance TEXT NOT NULL,
    pack TEXT NOT NULL,
    id TEXT NOT NULL,
    command TEXT NOT NULL,
    input BLOB NOT NULL,
    result_href TEXT NOT NULL,
    taken_at TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'taken' CHECK (state IN ('taken','result','delivered','parked')),
    result BLOB,
    replaced INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL
);
CREATE INDEX action_by_state ON action (state, number);
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    instance TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','parked')),
    reason TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL
);
CREATE INDEX event_by_state ON event (state, number);
"""
_BY_AGE = "CREATE INDEX action_by_age ON action (state, changed_at);"
_STEP_AND_TRACE = """
ALTER TABLE action ADD COLUMN step BLOB;
ALTER TABLE action ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN trace TEXT NOT NULL DEFAULT '';
"""

_STEPS = {
    0: _TABLES + _BY_AGE + _STEP_AND_TRACE,
    1: _BY_AGE + _STEP_AND_TRACE,
    2: _STEP_AND_TRACE,
}
"""From each version that can be brought up to date (0: an empty file), what today's needs."""


class UnknownVersion(Exception):
    """The file has a schema that this code does not know; ``found`` is its version."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to this version, whole or not at all; raises UnknownVersion."""
    found = version_of(db)
    if found == SCHEMA_VERSION:
        return
    if found not in _STEPS:
        raise UnknownVersion(found)
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
        # Lets a file that has grown shrink, in steps; a file with tables has to be rewritten for
        # that. An attempt that was cut off has changed nothing else, so this may run twice.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")
    db.executescript(f"BEGIN; {_STEPS[found]} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def is_journal(db: sqlite3.Connection) -> bool:
    """Whether a file with tables has a journal's: others count versions in the same place."""
    columns = {name for _, name, *_ in db.execute("PRAGMA table_info(action)")}
    return {"instance", "result_href"} <= columns
