"""One statement for many writes does what one for each would do."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from flyte_host.pipeline.journal.schema import migrate
from flyte_host.pipeline.journal.statements import (
    AT_ONCE,
    DeliveredRow,
    FinishedRow,
    forget_events,
    insert_taken,
    mark_delivered,
    write_results,
)

AT = datetime(2026, 11, 26, tzinfo=UTC)
MANY = 2 * AT_ONCE + 3


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        migrate(made)
        yield made


def take(db: sqlite3.Connection, count: int) -> list[int]:
    return insert_taken(
        db,
        [
            ("p", "P", f"id{each}", "c", b"1", "href", "then", "then", None, "")
            for each in range(count)
        ],
    )


def states(db: sqlite3.Connection) -> list[tuple[str, bytes | None]]:
    return db.execute("SELECT state, result FROM action ORDER BY number").fetchall()


@pytest.mark.parametrize("count", [1, AT_ONCE, MANY])
def test_each_action_gets_the_number_of_its_row(db: sqlite3.Connection, count: int) -> None:
    take(db, 2)
    numbers = take(db, count)
    rows = db.execute("SELECT number, id FROM action WHERE number > 2 ORDER BY number").fetchall()
    assert rows == [(number, f"id{each}") for each, number in enumerate(numbers)]


@pytest.mark.parametrize("count", [1, AT_ONCE, MANY])
def test_each_action_gets_its_own_result(db: sqlite3.Connection, count: int) -> None:
    rows = [FinishedRow(number, b"%d" % number, "now", f"t{number}") for number in take(db, count)]
    assert write_results(db, rows) == [True] * count
    assert states(db) == [("result", row.body) for row in rows]
    traces = db.execute("SELECT trace FROM action ORDER BY number").fetchall()
    assert traces == [(row.trace,) for row in rows]
    assert write_results(db, rows) == [True] * count  # a repeated write is allowed


def test_a_result_of_an_action_that_is_gone_is_told_apart(db: sqlite3.Connection) -> None:
    first, gone, parked, last = take(db, 4)
    db.execute("DELETE FROM action WHERE number = ?", (gone,))
    db.execute("UPDATE action SET state = 'parked' WHERE number = ?", (parked,))
    rows = [FinishedRow(number, b"1", "now", "") for number in (first, gone, parked, last)]
    assert write_results(db, rows) == [True, False, False, True]
    assert states(db) == [("result", b"1"), ("parked", None), ("result", b"1")]


def test_what_is_delivered_is_marked_and_nothing_else(db: sqlite3.Connection) -> None:
    numbers = take(db, MANY)
    mark_delivered(db, [DeliveredRow(number, AT) for number in numbers[1:]])
    assert [state for state, _ in states(db)] == ["taken"] + ["delivered"] * (MANY - 1)


def test_events_that_are_delivered_are_forgotten(db: sqlite3.Connection) -> None:
    for _ in range(MANY):
        db.execute("INSERT INTO event (instance, body, changed_at) VALUES ('p', '1', 'then')")
    forget_events(db, [DeliveredRow(number, AT) for number in range(2, MANY + 1)])
    assert db.execute("SELECT number FROM event").fetchall() == [(1,)]
