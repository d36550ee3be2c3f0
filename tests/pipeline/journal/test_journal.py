"""The journal keeps what it accepted, over restarts and kills, in one host at a time."""

import fcntl
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flyte_host.clock import Clock
from flyte_host.model import StepRun
from flyte_host.pipeline.journal import (
    SCHEMA_VERSION,
    Backlog,
    Delivery,
    EntryGone,
    Journal,
    JournalClosed,
    JournalError,
    Kind,
    OpenAction,
    Owed,
    Retention,
)
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.journal_file import (
    HINT,
    execute,
    query,
    states,
    taken,
    write_delivered,
    write_result,
    write_taken,
)
from tests.support.script import run_script

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def clock_that_ticks() -> Clock:
    """One second more at every look."""
    seconds = itertools.count(1)
    return Clock(lambda: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)))


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, clock_that_ticks())
    yield opened
    opened.close()


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.unfinished() == []
    assert list(journal.undelivered()) == []
    assert journal.backlog() == Backlog(0, 0, 0, 0, None)


def test_a_taken_action_is_unfinished(journal: Journal) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    at = datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert opened == OpenAction(1, "demo", "Demo", taken(), at, 1)
    assert journal.unfinished() == [opened]
    assert journal.backlog() == Backlog(1, 0, 0, 0, None)


def test_unfinished_actions_come_oldest_first(journal: Journal) -> None:
    opened = [write_taken(journal, "demo", "Demo", taken(number)) for number in (3, 1, 2)]
    assert journal.unfinished() == opened


def test_another_attempt_is_counted(journal: Journal) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    third = journal.again(journal.again(opened))
    assert third.attempt == 3
    assert journal.unfinished() == [third]


def test_a_result_has_all_that_its_delivery_needs(journal: Journal) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    delivery = write_result(journal, opened, b"{}")
    expected = Delivery(
        Kind.RESULT, 1, "demo", b"{}", "Demo", "echo", "a1", taken().result_href, replaced=False
    )
    assert delivery == expected
    assert journal.read(Owed(Kind.RESULT, "demo", 1)) == expected
    assert journal.unfinished() == []


def test_a_replaced_result_says_so(journal: Journal) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    delivery = write_result(journal, opened, b"first")
    journal.replace(delivery, b"second")
    replaced = journal.read(delivery.owed)
    assert (replaced.body, replaced.replaced) == (b"second", True)


def test_an_event_can_be_read_until_it_is_delivered(journal: Journal, path: Path) -> None:
    delivery = journal.emit("demo", b"[1]")
    assert delivery == Delivery(Kind.EVENT, 1, "demo", b"[1]")
    assert journal.read(delivery.owed) == delivery
    write_delivered(journal, delivery)
    assert states(path, "event") == []


def test_undelivered_has_results_then_events_oldest_first(journal: Journal) -> None:
    journal.emit("b", b"[1]")
    opened = [write_taken(journal, "a", "A", taken(number)) for number in (1, 2)]
    for each in reversed(opened):
        write_result(journal, each, b"{}")
    journal.emit("c", b"[2]")
    assert list(journal.undelivered()) == [
        Owed(Kind.RESULT, "a", 1),
        Owed(Kind.RESULT, "a", 2),
        Owed(Kind.EVENT, "b", 1),
        Owed(Kind.EVENT, "c", 2),
    ]


def test_many_results_are_finished_together(journal: Journal, path: Path) -> None:
    opened = [write_taken(journal, "a", "A", taken(number)) for number in (1, 2, 3)]
    execute(path, "DELETE FROM action WHERE number = 2")
    deliveries = journal.finish_all([(each, b"{}") for each in opened])
    assert [each.number for each in deliveries] == [1, 3]
    assert [journal.read(each.owed) for each in deliveries] == deliveries
    assert journal.unfinished() == []


def test_the_journal_can_be_changed_while_undelivered_is_read(journal: Journal) -> None:
    for number in range(3):
        journal.emit("a", b"%d" % number)
    for owed in journal.undelivered():
        write_delivered(journal, journal.read(owed))
    assert journal.backlog().events == 0


def test_what_is_parked_is_kept_with_its_reason_and_not_delivered(
    journal: Journal, path: Path
) -> None:
    result = write_result(journal, write_taken(journal, "a", "A", taken()), b"{}")
    event = journal.emit("a", b"[]")
    journal.park(result, "404")
    journal.park(event, "400")
    assert states(path) == [(1, "parked", "404")]
    assert states(path, "event") == [(1, "parked", "400")]
    assert list(journal.undelivered()) == []
    assert journal.backlog() == Backlog(0, 0, 0, 2, None)
    for each in (result, event):
        with pytest.raises(EntryGone):
            journal.read(each.owed)


def test_counts_say_what_is_open_and_since_when_the_oldest_waits(journal: Journal) -> None:
    opened = write_taken(journal, "a", "A", taken(1))  # second 1
    write_taken(journal, "a", "A", taken(2))  # 2
    event = journal.emit("a", b"[]")  # 3
    write_result(journal, opened, b"{}")  # 4
    counts = journal.backlog()
    assert (counts.taken, counts.results, counts.events, counts.parked) == (1, 1, 1, 0)
    assert counts.oldest_waiting == datetime(2030, 1, 1, 0, 0, 3, tzinfo=UTC)
    write_delivered(journal, event)
    assert journal.backlog().oldest_waiting == datetime(2030, 1, 1, 0, 0, 4, tzinfo=UTC)


def test_delivered_actions_are_forgotten_but_for_the_latest(path: Path) -> None:
    journal = Journal(path, Clock(), retention=Retention(actions=3, deliveries_a_step=1))
    for number in range(1, 11):
        opened = write_taken(journal, "a", "A", taken(number))
        if number != 2:
            write_delivered(journal, write_result(journal, opened, b"{}"))
    journal.close()
    assert [number for number, _, _ in states(path)] == [2, 8, 9, 10]


def test_a_number_is_not_given_twice(journal: Journal) -> None:
    write_delivered(journal, journal.emit("a", b"[]"))
    assert journal.emit("a", b"[]").number == 2


def test_all_of_it_is_there_after_a_restart(path: Path) -> None:
    journal = Journal(path, Clock())
    opened = write_taken(journal, "a", "A", taken(1))
    journal.again(opened)
    result = write_result(journal, write_taken(journal, "a", "A", taken(2)), b"{}")
    journal.replace(result, b"[]")
    event = journal.emit("a", b"[]")
    counts = journal.backlog()
    journal.close()
    journal = Journal(path, Clock())
    assert [(each.taken, each.attempt, each.taken_at) for each in journal.unfinished()] == [
        (taken(1), 2, opened.taken_at)
    ]
    read = [journal.read(each) for each in journal.undelivered()]
    assert read == [replace(result, body=b"[]", replaced=True), event]
    assert journal.backlog() == counts
    journal.close()


def test_a_second_host_is_refused_until_the_first_is_gone(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalError) as refused:
        Journal(path, Clock())
    assert str(refused.value) == (
        f"journal {path}: another flyte-host uses it; give each host a [host] state of its own"
    )
    journal.close()
    Journal(path, Clock()).close()


def test_a_second_host_is_refused_by_any_name_of_the_file(journal: Journal, path: Path) -> None:
    path.with_name("link.db").symlink_to(path)
    path.with_name("hard.db").hardlink_to(path)
    for name in ("link.db", "hard.db"):
        with pytest.raises(JournalError, match="another flyte-host uses it"):
            Journal(path.with_name(name), Clock())
    assert write_taken(journal, "demo", "Demo", taken()).number == 1
    journal.close()
    linked = Journal(path.with_name("link.db"), Clock())
    assert [each.taken for each in linked.unfinished()] == [taken()]
    linked.close()


SECOND_HOST = """
import sys
from pathlib import Path
from flyte_host.clock import Clock
from flyte_host.pipeline.journal import Editor, Journal, JournalError, State
path = Path(sys.argv[1])
with Editor(path, Clock()) as visitor:
    print([each.name for each in visitor.entries(State)])
try:
    Journal(path, Clock())
except JournalError as error:
    print(error)
"""


def test_a_second_process_may_visit_but_not_host(journal: Journal, path: Path) -> None:
    """Nothing beside the file matters: there is no lock file that somebody could delete."""
    journal.emit("demo", b"{}")
    assert sorted(each.name for each in path.parent.iterdir()) == [
        path.name, f"{path.name}-shm", f"{path.name}-wal",
    ]  # fmt: skip
    for _ in range(2):
        done = run_script(SECOND_HOST, path)
        entries, refused = done.stdout.splitlines()
        assert entries == "['e1']"
        assert refused.startswith(f"journal {path}: another flyte-host uses it; ")
    assert journal.emit("demo", b"{}").number == 2


NO_LOCKS = """
import ctypes, errno, platform, struct
fcntl_number = {"x86_64": 72, "aarch64": 25}[platform.machine()]
rules = b"".join(struct.pack("HBBI", *each) for each in [
    (0x20, 0, 0, 0),  # load the number of the system call
    (0x15, 0, 3, fcntl_number),
    (0x20, 0, 0, 24),  # and of what it is to do
    (0x15, 0, 1, 37),  # F_OFD_SETLK
    (0x06, 0, 0, 0x50000 | errno.ENOLCK),
    (0x06, 0, 0, 0x7FFF0000),  # allow all else
])
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("rules", ctypes.c_char_p)]
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(6, rules)), 0, 0) == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters system calls")
def test_a_file_system_without_locks_is_told(journal: Journal, path: Path) -> None:
    """As some network file systems are, and some sandboxes."""
    journal.close()
    done = run_script(NO_LOCKS + SECOND_HOST, path)
    assert done.stdout.splitlines()[1] == (
        f"journal {path}: the file cannot be locked: No locks available; give [host] state a path "
        "on another file system"
    )


def test_a_lock_file_of_an_older_version_is_ignored(path: Path) -> None:
    beside = path.with_name(f"{path.name}.lock")
    with beside.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        Journal(path, Clock()).close()


def test_readers_do_not_wait_for_a_writer(journal: Journal, path: Path) -> None:
    """A backup tool that holds the file for a moment, as a write of our own would."""
    opened = write_taken(journal, "demo", "Demo", taken())
    delivery = write_result(journal, opened, b"{}")
    with closing(sqlite3.connect(path)) as db, ThreadPoolExecutor(1) as pool:
        db.execute("BEGIN IMMEDIATE")
        writing = pool.submit(journal.emit, "demo", b"{}")
        assert journal.backlog().results == 1
        assert list(journal.undelivered()) == [delivery.owed]
        assert journal.read(delivery.owed) == delivery
        assert not writing.done()
        db.rollback()
        assert writing.result(60).number == 1


def test_a_closed_journal_accepts_nothing(journal: Journal, path: Path) -> None:
    opened = write_taken(journal, "a", "A", taken())
    journal.close()
    with pytest.raises(JournalError) as closed:
        journal.emit("a", b"[]")
    assert str(closed.value) == f"journal {path}: closed, since the host is stopping"
    with pytest.raises(JournalClosed):
        write_result(journal, opened, b"{}")
    with pytest.raises(JournalClosed):
        journal.backlog()
    journal.close()


def test_a_file_that_is_not_a_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("these are notes, not a database" * 50)
    with pytest.raises(JournalError) as refused:
        Journal(path, Clock())
    assert str(refused.value) == f"journal {path}: file is not a database; {HINT}"
    assert path.read_text().startswith("these are notes")
    path.unlink()
    Journal(path, Clock()).close()  # the lock was given back


def test_another_programs_database_is_refused(path: Path) -> None:
    execute(path, "CREATE TABLE event (theirs)")
    with pytest.raises(JournalError, match="table event already exists"):
        Journal(path, Clock())
    assert query(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("event",)]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with pytest.raises(JournalError) as refused:
        Journal(folder, Clock())
    words = "found a folder, expected a file; set another [host] state"
    assert str(refused.value) == f"journal {folder}: {words}"


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "flyte-host.db"
    with pytest.raises(JournalError) as refused:
        Journal(below, Clock())
    words = f"journal {below}: {below.parent} is not a folder; set another [host] state"
    assert str(refused.value) == words


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="Permission denied"):
            Journal(tmp_path / "flyte-host.db", Clock())
    finally:
        tmp_path.chmod(0o700)


def test_a_later_schema_is_refused_and_left_alone(path: Path) -> None:
    Journal(path, Clock()).close()
    execute(path, "PRAGMA user_version = 7")
    with pytest.raises(JournalError) as refused:
        Journal(path, Clock())
    assert str(refused.value) == (
        f"journal {path}: found schema 7, this flyte-host writes {SCHEMA_VERSION}; "
        "run the flyte-host that wrote it, or set another [host] state"
    )


def test_a_database_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    """A store of flyte counts versions in the same place, and has tables of the same names."""
    execute(path, "CREATE TABLE action (id TEXT)")
    execute(path, "PRAGMA user_version = 2")
    with pytest.raises(JournalError) as refused:
        Journal(path, Clock())
    assert str(refused.value) == (
        f"journal {path}: found another kind of database, such as the store of a flyte; "
        "expected a journal, or a new file: set another [host] state"
    )
    assert query(path, "SELECT id FROM action") == []


def test_a_failed_write_leaves_the_journal_usable(journal: Journal, path: Path) -> None:
    execute(path, "ALTER TABLE event RENAME TO hidden")
    with pytest.raises(JournalError, match="no such table: event"):
        journal.emit("a", b"[]")
    execute(path, "ALTER TABLE hidden RENAME TO event")
    assert journal.emit("a", b"[]").number == 1


def test_many_threads_at_once_lose_nothing(journal: Journal) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            opened = write_taken(journal, f"p{number}", "P", taken(number))
            write_result(journal, opened, b"{}")
            journal.emit(f"p{number}", b"[]")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = journal.backlog()
    assert (counts.taken, counts.results, counts.events) == (0, 80, 80)
    assert len({(each.kind, each.number) for each in journal.undelivered()}) == 160


def test_step_and_trace_are_kept_over_a_restart(path: Path, journal: Journal) -> None:
    told = replace(taken(), step=StepRun("flow/1", "step", "e1"), trace=f"{TRACE} vendor=1")
    write_taken(journal, "demo", "Demo", told)
    write_result(journal, write_taken(journal, "demo", "Demo", replace(told, id="a2")), b"{}")
    journal.emit("demo", b"{}", TRACE)
    journal.close()
    again = Journal(path, Clock())
    (opened,) = again.unfinished()
    assert opened.taken == told
    result, event = [again.read(each) for each in again.undelivered()]
    assert (result.step, result.trace) == (told.step, told.trace)
    assert event.trace == TRACE
    assert opened.about == {
        "pack": "demo", "command": "echo", "action": "a1", "flow": "flow/1", "step": "step",
        "execution": "e1", "trace": TRACE[3:35],
    }  # fmt: skip
    again.close()


WRITER = """
import itertools, sys
from pathlib import Path
from flyte_host.pipeline.journal import Journal
from flyte_host.clock import Clock
from flyte_host.model import Taken
from flyte_host.wait import stand_still
journal = Journal(Path(sys.argv[1]), Clock())
for number in itertools.count(1):
    taken = Taken(f"a{number}", "echo", b"{}", "http://f")
    opened = stand_still(journal.taking("demo", "Demo", taken))
    if number % 2 == 0:
        stand_still(journal.finishing(opened, b"[]"))
    journal.emit("demo", b"{}")
    print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_was_accepted(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    accepted = 0
    while accepted < 40:
        accepted = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    accepted = int((writer.stdout.read().split() or [str(accepted)])[-1])
    assert writer.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    writer.stdout.close()
    journal = Journal(path, Clock())
    counts = journal.backlog()
    ids = [each.taken.id for each in journal.unfinished()]
    journal.close()
    assert ids[: (accepted + 1) // 2] == [f"a{number}" for number in range(1, accepted + 1, 2)]
    assert accepted <= counts.taken + counts.results <= accepted + 1
    assert accepted <= counts.events <= accepted + 1


class JournalModel(RuleBasedStateMachine):
    """The journal next to plain dicts."""

    bodies = st.binary(max_size=8)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "model.db"
        for old in folder.iterdir():
            old.unlink()
        self.journal = Journal(self.path, Clock())
        self.taken: dict[int, OpenAction] = {}
        self.results: dict[int, tuple[bytes, bool]] = {}
        self.events: dict[int, bytes] = {}
        self.parked = 0

    def teardown(self) -> None:
        self.journal.close()

    @rule()
    def take(self) -> None:
        opened = write_taken(self.journal, "demo", "Demo", taken())
        assert opened.number not in self.taken.keys() | self.results.keys()
        self.taken[opened.number] = opened

    @precondition(lambda self: self.taken)
    @rule()
    def again(self) -> None:
        number = next(iter(self.taken))
        self.taken[number] = self.journal.again(self.taken[number])

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), body=bodies, replaced=st.booleans())
    def finish(self, data: st.DataObject, body: bytes, *, replaced: bool) -> None:
        number = data.draw(st.sampled_from(list(self.taken)))
        delivery = write_result(self.journal, self.taken.pop(number), body)
        if replaced:
            body += b"!"
            self.journal.replace(delivery, body)
        self.results[number] = (body, replaced)

    @rule(body=bodies)
    def emit(self, body: bytes) -> None:
        self.events[self.journal.emit("demo", body).number] = body

    @precondition(lambda self: self.results)
    @rule(data=st.data(), park=st.booleans())
    def end_result(self, data: st.DataObject, *, park: bool) -> None:
        number = data.draw(st.sampled_from(list(self.results)))
        del self.results[number]
        self.end(Kind.RESULT, number, park=park)

    @precondition(lambda self: self.events)
    @rule(data=st.data(), park=st.booleans())
    def end_event(self, data: st.DataObject, *, park: bool) -> None:
        number = data.draw(st.sampled_from(list(self.events)))
        del self.events[number]
        self.end(Kind.EVENT, number, park=park)

    def end(self, kind: Kind, number: int, *, park: bool) -> None:
        delivery = self.journal.read(Owed(kind, "demo", number))
        if park:
            self.journal.park(delivery, "because")
            self.parked += 1
        else:
            write_delivered(self.journal, delivery)

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path, Clock())

    @invariant()
    def same(self) -> None:
        assert self.journal.unfinished() == list(self.taken.values())
        waiting = [self.journal.read(each) for each in self.journal.undelivered()]
        results = {
            each.number: (each.body, each.replaced) for each in waiting if each.kind is Kind.RESULT
        }
        assert results == self.results
        events = {each.number: each.body for each in waiting if each.kind is Kind.EVENT}
        assert events == self.events
        counts = self.journal.backlog()
        assert (counts.taken, counts.results) == (len(self.taken), len(self.results))
        assert (counts.events, counts.parked) == (len(self.events), self.parked)
        assert (counts.oldest_waiting is None) == (not self.results and not self.events)


def follow_the_model(folder: Path, examples: int) -> None:
    run_state_machine_as_test(
        lambda: JournalModel(folder),  # type: ignore[arg-type]  # hypothesis only calls it
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )


def test_the_journal_is_as_its_model(tmp_path: Path) -> None:
    follow_the_model(tmp_path, 8)


@pytest.mark.soak
def test_the_journal_is_as_its_model_200_times(tmp_path: Path) -> None:
    follow_the_model(tmp_path, 200)


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "flyte-host.db", Clock())
    write_taken(journal, "demo", "Demo", taken())
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.db*")}
    journal.close()
    assert {name: oct(mode) for name, mode in modes.items()} == {
        "flyte-host.db": "0o600",
        "flyte-host.db-shm": "0o600",
        "flyte-host.db-wal": "0o600",
    }
