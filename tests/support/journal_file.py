"""Lets a test read and change the journal's file while the host has it open."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from flyte_host.model import Taken
from flyte_host.pipeline.journal.journal import Journal
from flyte_host.wait import standing_still

HINT = (
    "flyte-host takes no action that it cannot record: "
    "check the folder's permissions and free space, or set another [host] state"
)


def taken(number: int = 1) -> Taken:
    """An action as flyte gave it out."""
    return Taken(f"a{number}", "echo", b'{"n": %d}' % number, f"http://f/actions/a{number}/result")


write_taken = standing_still(Journal.taking)
write_result = standing_still(Journal.finishing)
write_delivered = standing_still(Journal.delivering)
"""What workers do in steps, at once: ``write_result(journal, opened, body)``."""


def query(path: Path, text: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(text).fetchall()


def execute(path: Path, text: str, rows: Iterable[tuple[Any, ...]] = ((),)) -> None:
    """The statement, once for each row of values."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(text, rows) if text.startswith(("INSERT", "UPDATE")) else db.execute(text)


def states(path: Path, table: str = "action") -> list[tuple[int, str, str]]:
    return query(path, f"SELECT number, state, reason FROM {table} ORDER BY number")


def hide(path: Path, table: str) -> None:
    """Make every write to the table fail, until it is shown again."""
    execute(path, f"ALTER TABLE {table} RENAME TO hidden")


def show(path: Path, table: str) -> None:
    execute(path, f"ALTER TABLE hidden RENAME TO {table}")


def refuse_results(path: Path) -> None:
    """Make every write of a result fail, and nothing else, until :func:`take_results`."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'no result is taken'); END"
    execute(path, f"CREATE TRIGGER no_results BEFORE UPDATE ON action {refuse}")


def take_results(path: Path) -> None:
    execute(path, "DROP TRIGGER no_results")
