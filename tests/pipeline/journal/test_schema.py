"""A journal of an older flyte-host becomes today's, whole or not at all."""

import sqlite3
from pathlib import Path

import pytest

from flyte_host.clock import Clock
from flyte_host.model import Taken
from flyte_host.pipeline.journal import SCHEMA_VERSION, Journal, JournalError, Kind
from tests.support.journal_file import execute, query, write_taken

VERSION_1 = """
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
PRAGMA user_version = 1;
"""
ROWS = """
INSERT INTO action VALUES
    (1, 'demo', 'Demo', 'a1', 'echo', CAST('{"n": 1}' AS BLOB), 'http://f/a1/result',
     '2030-01-01T00:00:00+00:00', 2, 'taken', NULL, 0, '', '2030-01-01T00:00:00+00:00'),
    (2, 'demo', 'Demo', 'a2', 'echo', CAST('2' AS BLOB), 'http://f/a2/result',
     '2030-01-01T00:00:00+00:00', 1, 'result', CAST('{}' AS BLOB), 1, '',
     '2030-01-01T00:00:01+00:00');
INSERT INTO event (instance, body, changed_at)
VALUES ('demo', CAST('[]' AS BLOB), '2030-01-01T00:00:02+00:00');
"""


def version_1(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(VERSION_1 + ROWS)
    db.close()


SHAPE = "SELECT type, name, sql FROM sqlite_master ORDER BY name"


def test_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "flyte-host.db"
    version_1(path)
    journal = Journal(path, Clock())
    (opened,) = journal.unfinished()
    assert opened.taken == Taken("a1", "echo", b'{"n": 1}', "http://f/a1/result")
    assert opened.attempt == 2
    result, event = [journal.read(each) for each in journal.undelivered()]
    assert (result.kind, result.number, result.body, result.replaced) == (
        Kind.RESULT, 2, b"{}", True,
    )  # fmt: skip
    assert (event.kind, event.body) == (Kind.EVENT, b"[]")
    assert write_taken(journal, "demo", "Demo", opened.taken).number == 3
    journal.close()
    Journal(tmp_path / "new.db", Clock()).close()
    assert query(path, SHAPE) == query(tmp_path / "new.db", SHAPE)
    for pragma, expected in (("user_version", SCHEMA_VERSION), ("auto_vacuum", 2)):
        assert query(path, f"PRAGMA {pragma}") == [(expected,)]
        assert query(tmp_path / "new.db", f"PRAGMA {pragma}") == [(expected,)]
    Journal(path, Clock()).close()


def test_version_2_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "flyte-host.db"
    version_1(path)
    execute(path, "CREATE INDEX action_by_age ON action (state, changed_at)")
    execute(path, "PRAGMA user_version = 2")
    journal = Journal(path, Clock())
    (opened,) = journal.unfinished()
    assert (opened.taken.step, opened.taken.trace) == (None, "")
    assert [journal.read(each).trace for each in journal.undelivered()] == ["", ""]
    journal.close()
    Journal(tmp_path / "new.db", Clock()).close()
    assert query(path, SHAPE) == query(tmp_path / "new.db", SHAPE)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "flyte-host.db"
    version_1(path)
    execute(path, "CREATE TABLE action_by_age (theirs)")
    with pytest.raises(JournalError, match="there is already a table named action_by_age"):
        Journal(path, Clock())
    assert query(path, "PRAGMA user_version") == [(1,)]
    execute(path, "DROP TABLE action_by_age")
    Journal(path, Clock()).close()
    assert query(path, "SELECT count(*) FROM action") == [(2,)]
