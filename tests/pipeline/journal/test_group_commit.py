"""Writers of the same moment share one transaction and one flush, and no other's failure."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flyte_host.pipeline.journal.group_commit import GroupCommit, WriteFailed
from flyte_host.testing.waiting import wait_until
from tests.support.journal_file import query

Statement = Callable[[sqlite3.Connection], Any]


def insert(value: object) -> Statement:
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (value,)).rowcount


class SlowDisk:
    """Counts flushes; while its gate is closed one waits, as at a slow disk."""

    def __init__(self) -> None:
        self.flushes = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error: OSError | None = None

    def flush(self) -> None:
        self.flushes += 1
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error


class Workplace:
    """A table, its disk, and threads that write to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (v INTEGER UNIQUE)")
        self.begins: list[str] = []
        db.set_trace_callback(self._trace)
        self.disk = SlowDisk()
        self.commits = GroupCommit(db, self.disk.flush)
        self.started = 0
        self.failures: list[str] = []
        self.threads: list[threading.Thread] = []

    def _trace(self, text: str) -> None:
        if text.startswith("BEGIN"):
            self.begins.append(text)

    def write_behind(self, *statements: Statement) -> None:
        """Each in a thread of its own, behind one that waits for the disk."""
        self.disk.gate.clear()
        self.start(insert(0))
        wait_until(lambda: self.disk.flushes, "the first waits for the disk")
        for each in statements:
            self.start(each)
        wait_until(lambda: self.commits.waiting == len(statements), "all others wait behind it")
        self.disk.gate.set()
        for thread in self.threads:
            thread.join(60)

    def start(self, statement: Statement) -> None:
        thread = threading.Thread(target=self._write, args=(statement,))
        self.threads.append(thread)
        thread.start()

    def _write(self, statement: Statement) -> None:
        try:
            self.commits.write(statement)
        except WriteFailed as failure:
            self.failures.append(str(failure))

    def values(self) -> list[int]:
        return [value for (value,) in query(self.path, "SELECT v FROM t ORDER BY v")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    made = Workplace(tmp_path / "file.db")
    yield made
    made.commits.close()


def test_a_write_that_is_alone_returns_what_its_statement_does(place: Workplace) -> None:
    assert place.commits.write(insert(1)) == 1
    assert (place.values(), place.disk.flushes) == ([1], 1)


def test_a_write_without_flush_is_visible_and_goes_to_the_disk_with_the_next(
    place: Workplace,
) -> None:
    place.commits.write(insert(1), flush=False)
    assert (place.values(), place.disk.flushes) == ([1], 0)
    place.commits.write(insert(2))
    assert (place.values(), place.disk.flushes) == ([1, 2], 1)


def test_what_waits_behind_a_write_is_one_group(place: Workplace) -> None:
    place.write_behind(*[insert(number) for number in range(1, 8)])
    assert place.values() == list(range(8))
    assert place.disk.flushes == 2
    assert len(place.begins) == 2
    assert place.failures == []


def test_a_statement_that_fails_fails_alone(place: Workplace) -> None:
    def lack(_: object) -> None:
        raise KeyError("key")

    place.write_behind(insert(1), insert(0), insert(2), lack, insert(3))
    assert place.values() == [0, 1, 2, 3]
    assert sorted(place.failures) == ["'key'", "UNIQUE constraint failed: t.v"]


def test_a_file_that_is_locked_fails_the_whole_group_at_once(place: Workplace) -> None:
    other = sqlite3.connect(place.path, isolation_level=None)
    place.disk.gate.clear()
    place.start(insert(0))
    wait_until(lambda: place.disk.flushes, "the first waits for the disk")
    for number in (1, 2, 3):
        place.start(insert(number))
    wait_until(lambda: place.commits.waiting == 3, "all others wait behind it")
    other.execute("BEGIN IMMEDIATE")
    place.disk.gate.set()
    for thread in place.threads:
        thread.join(60)
    other.rollback()
    other.close()
    assert place.failures == ["database is locked"] * 3
    assert place.values() == [0]
    assert place.commits.write(insert(4)) == 1


def test_a_disk_that_fails_fails_those_that_need_it(place: Workplace) -> None:
    place.disk.error = OSError(5, "Input/output error")
    with pytest.raises(WriteFailed, match="Input/output error"):
        place.commits.write(insert(1))
    place.commits.write(insert(2), flush=False)
    place.disk.error = None
    place.commits.write(insert(3))


def test_an_interrupt_ends_one_write_and_leaves_the_next_its_turn(place: Workplace) -> None:
    def interrupted(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.commits.write(interrupted)
    assert place.commits.write(insert(1)) == 1


def test_writes_that_were_begun_are_written_together_by_one_call(place: Workplace) -> None:
    """Each of them is told, and none has to wait for that."""
    woken: list[int] = []
    groups: list[list[int]] = []

    def insert_all(db: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
        groups.append(list(numbers))
        return [insert(number)(db) + number for number in numbers]

    writes = [place.commits.make(insert_all, number) for number in range(3)]
    for number, write in enumerate(writes):
        write.begin(partial(woken.append, number))
    assert (woken, place.values()) == ([], [])
    place.commits.write_waiting()
    assert woken == [0, 1, 2]
    assert groups == [[0, 1, 2]]
    assert [write.outcome() for write in writes] == [1, 2, 3]
    assert place.disk.flushes == 1


def test_writes_are_told_when_their_writer_no_longer_waits_for_the_disk(place: Workplace) -> None:
    events: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        events.append("waits")
        yield
        events.append("goes on")

    place.commits.make(lambda db, _: [insert(1)(db)], None).begin(lambda: events.append("told"))
    place.commits.write_waiting(waiting)
    assert events == ["waits", "goes on", "told"]


def test_a_write_that_was_begun_goes_with_one_that_is_waited_for(place: Workplace) -> None:
    woken: list[bool] = []
    write = place.commits.make(lambda db, _: [insert(1)(db)], None)
    write.begin(lambda: woken.append(True))
    place.commits.write(insert(2))
    assert (woken, place.values(), place.disk.flushes) == ([True], [1, 2], 1)


def test_an_interrupt_of_the_disk_leaves_no_write_that_seems_to_be_done(place: Workplace) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    commits = GroupCommit(sqlite3.connect(place.path, isolation_level=None), interrupt)
    woken: list[bool] = []
    write = commits.make(lambda db, _: [insert(1)(db)], None)
    write.begin(lambda: woken.append(True))
    with pytest.raises(KeyboardInterrupt):
        commits.write_waiting()
    assert woken == [True]
    with pytest.raises(WriteFailed, match="interrupted"):
        write.outcome()
    commits.close()


def test_the_end_writes_what_was_begun(place: Workplace) -> None:
    write = place.commits.make(lambda db, _: [insert(1)(db)], None)
    write.begin(lambda: None)
    place.commits.close()
    assert write.outcome() == 1
    assert place.values() == [1]


def test_after_the_end_every_write_fails(place: Workplace) -> None:
    place.commits.close()
    with pytest.raises(WriteFailed, match="closed"):
        place.commits.write(insert(1))
