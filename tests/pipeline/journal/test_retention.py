"""The journal's file stays small, whatever passes through it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flyte_host.clock import Clock
from flyte_host.model import Taken
from flyte_host.pipeline.journal import Journal, Retention
from flyte_host.pipeline.journal.retention import (
    DELIVERIES_A_STEP,
    FORGOTTEN_AT_ONCE,
    KEEP_DELIVERED,
    SPARE_PAGES,
)
from tests.support.journal_file import (
    execute,
    query,
    states,
    write_delivered,
    write_result,
    write_taken,
)

AT = datetime(2030, 1, 1, tzinfo=UTC)
PAGE_BYTES = 4096


def deliver(journal: Journal, input_: bytes = b"null") -> int:
    taken = Taken("a", "echo", input_, "v1/packs/Demo/actions/a/result")
    opened = write_taken(journal, "demo", "Demo", taken)
    write_delivered(journal, write_result(journal, opened, b"{}"))
    return opened.number


def fill(path: Path, count: int) -> None:
    """Delivered actions, as an earlier host would have left them that never forgot any."""
    execute(
        path,
        "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at, state,"
        " result, changed_at)"
        " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " SELECT 'demo', 'Demo', 'a' || i, 'echo', zeroblob(300), 'v1/r', ?, 'delivered',"
        " zeroblob(300), ? FROM n",
        [(count, AT.isoformat(), AT.isoformat())],
    )


def rows(path: Path) -> int:
    return int(query(path, "SELECT count(*) FROM action")[0][0])


def test_a_hundred_thousand_delivered_actions_shrink_to_the_limit(path: Path) -> None:
    Journal(path, Clock()).close()
    fill(path, 100_000)
    before = path.stat().st_size
    assert before > 60_000_000
    with closing(sqlite3.connect(path)) as db:
        while (left := rows(path)) > KEEP_DELIVERED:
            with db:
                for _ in range(100):
                    Retention().apply(db, AT)
            assert rows(path) < left
    kept = rows(path)
    journal = Journal(path, Clock(lambda: AT), retention=Retention(deliveries_a_step=1))
    numbers = [deliver(journal) for _ in range(5)]
    journal.close()
    assert (kept, rows(path)) == (KEEP_DELIVERED, KEEP_DELIVERED)
    assert numbers == list(range(100_001, 100_006))
    assert path.stat().st_size < before / 8


def test_a_write_forgets_a_few_only(path: Path) -> None:
    Journal(path, Clock()).close()
    fill(path, 500)
    journal = Journal(path, Clock(lambda: AT), retention=Retention(actions=10, deliveries_a_step=1))
    deliver(journal)
    assert rows(path) == 501 - FORGOTTEN_AT_ONCE
    for _ in range(9):
        deliver(journal)
    journal.close()
    assert [number for number, _, _ in states(path)] == list(range(501, 511))


def test_a_step_is_taken_with_every_so_many_deliveries(path: Path) -> None:
    Journal(path, Clock()).close()
    fill(path, 500)
    journal = Journal(path, Clock(lambda: AT), retention=Retention(actions=10, deliveries_a_step=4))
    counts = []
    for _ in range(6):
        deliver(journal)
        counts.append(rows(path))
    journal.close()
    assert FORGOTTEN_AT_ONCE > DELIVERIES_A_STEP  # so that the file does not grow forever
    assert counts == [451, 452, 453, 454, 405, 406]


def test_what_flyte_has_had_for_long_is_forgotten(path: Path) -> None:
    now = [AT]
    journal = Journal(
        path, Clock(lambda: now[0]), retention=Retention(age=timedelta(days=7), deliveries_a_step=1)
    )
    write_taken(journal, "demo", "Demo", Taken("open", "echo", b"1", "v1/r"))
    deliver(journal)
    now[0] += timedelta(days=6)
    deliver(journal)
    now[0] += timedelta(days=1)
    deliver(journal)
    assert [each[0] for each in states(path)] == [1, 2, 3, 4]
    now[0] += timedelta(microseconds=1)
    write_delivered(journal, journal.emit("demo", b"{}"))
    journal.close()
    assert [each[0] for each in states(path)] == [1, 3, 4]


def test_what_was_delivered_late_counts_from_then(path: Path) -> None:
    now = [AT]
    journal = Journal(path, Clock(lambda: now[0]), retention=Retention(deliveries_a_step=1))
    opened = write_taken(journal, "demo", "Demo", Taken("late", "echo", b"1", "v1/r"))
    delivery = write_result(journal, opened, b"{}")
    now[0] += timedelta(days=30)
    write_delivered(journal, delivery)
    deliver(journal)
    journal.close()
    assert [each[0] for each in states(path)] == [1, 2]


@pytest.fixture
def small(path: Path) -> Iterator[Journal]:
    journal = Journal(path, Clock(), retention=Retention(file_bytes=1_000_000, deliveries_a_step=1))
    yield journal
    journal.close()


def test_a_large_file_forgets_the_oldest_and_shrinks(small: Journal, path: Path) -> None:
    write_taken(small, "demo", "Demo", Taken("open", "echo", b"1", "v1/r"))
    last = [deliver(small, b"x" * 200_000) for _ in range(30)][-1]
    kept = [number for number, _, _ in states(path)]
    small.close()
    assert kept == [1, *range(last - len(kept) + 2, last + 1)]
    assert 3 <= len(kept) <= 6
    assert path.stat().st_size < 1_000_000 + (SPARE_PAGES + 100) * PAGE_BYTES


def test_what_is_not_delivered_is_never_forgotten_for_space(small: Journal, path: Path) -> None:
    for number in range(10):
        small.emit("demo", b"%d" % number + b"x" * 200_000)
        write_taken(small, "demo", "Demo", Taken("open", "echo", b"x" * 200_000, "v1/r"))
    number = deliver(small)
    assert small.backlog().events == small.backlog().taken == 10
    assert number not in [each[0] for each in states(path)]
