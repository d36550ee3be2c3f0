"""What a host left open goes to the journal of another one: all of it, once."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flyte_host import Command, Event, EventDef
from flyte_host.clock import Clock
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.journal import Editor, Journal, JournalError, State, adopt
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import PackPlugin
from tests.support.journal_file import execute, write_delivered, write_result, write_taken

ROOT = Path(__file__).parents[3]
MANY = 3_000
STEP = StepRun("flow", "step", "e1")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ADOPT = """
import sys
from pathlib import Path
from flyte_host.pipeline.journal import adopt
adopt(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "dead" / "host.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "alive.db"


def fill(path: Path) -> None:
    """One action in each state, one event that waits and one that is parked."""
    path.parent.mkdir(exist_ok=True)
    journal = Journal(path, Clock())
    opened = [
        write_taken(
            journal, "demo", "Demo", Taken(f"a{each}", "echo", b"1", f"v1/{each}", STEP, TRACE)
        )
        for each in range(4)
    ]
    _, delivered, parked = [write_result(journal, each, b'{"event":"Done"}') for each in opened[1:]]
    write_delivered(journal, delivered)
    journal.park(parked, "400")
    journal.emit("demo", b'{"event":"Rang"}', TRACE)
    journal.park(journal.emit("demo", b'{"event":"Bad"}'), "no such pack")
    journal.close()


def open_entries(path: Path) -> list[tuple[str, str, str, str]]:
    with Editor(path, Clock()) as editor:
        entries = editor.entries([each for each in State if each is not State.DELIVERED])
    return [(each.pack_key, each.action_id, each.state, each.reason) for each in entries]


def told(editor: Editor) -> list[tuple[bytes | None, bytes | None, str]]:
    """Body, step and trace of each entry."""
    found = [editor.contents((each.kind, each.number)) for each in editor.entries(State)]
    return [(each.body, each.step, each.trace) for each in found]


def test_everything_that_is_open_changes_its_journal(source: Path, target: Path) -> None:
    fill(source)
    left = open_entries(source)
    with Editor(source, Clock()) as editor:
        bodies = told(editor)
    done = adopt(source, target)
    assert (done.actions, done.events) == (3, 2)
    assert open_entries(target) == left
    assert open_entries(source) == []
    with Editor(source, Clock()) as editor:
        assert [each.action_id for each in editor.entries(State)] == ["a2"]
    with Editor(target, Clock()) as editor:
        moved = told(editor)
    assert moved == [bodies[0], bodies[1], *bodies[3:]]


def test_what_the_second_file_has_stays_and_comes_first(source: Path, target: Path) -> None:
    fill(source)
    fill(target)
    assert adopt(source, target).actions == 3
    assert [action for _, action, _, _ in open_entries(target)] == [
        *("a0", "a1", "a3", "a0", "a1", "a3"), *("", "", "", "")
    ]  # fmt: skip
    again = adopt(source, target)
    assert (again.actions, again.events) == (0, 0)
    assert len(open_entries(target)) == 10


def test_both_files_serve_a_host_afterwards(source: Path, target: Path) -> None:
    fill(source)
    adopt(source, target)
    for path, left in ((source, 0), (target, 3)):
        journal = Journal(path, Clock())
        assert journal.left() == left
        assert write_taken(journal, "demo", "Demo", Taken("b", "echo", b"1", "v1/b")).number
        journal.close()
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("row", range(4))
def test_a_kill_in_the_middle_neither_loses_nor_doubles(
    source: Path, target: Path, row: int
) -> None:
    """The rollback journal of either file is there from the first write to the commit."""
    fill(source)
    execute(
        source,
        "INSERT INTO event (instance, body, changed_at) VALUES ('demo', ?, '2026-01-01')",
        [(f"{each} {'x' * 2_000}".encode(),) for each in range(MANY)],
    )
    path = (source, target)[row % 2]
    rollback = path.with_name(f"{path.name}-journal")
    with subprocess.Popen([sys.executable, "-c", ADOPT, source, target], cwd=ROOT) as process:
        wait_until(lambda: rollback.exists() or process.poll() is not None, "it writes")
        process.send_signal(signal.SIGKILL)
    Journal(target, Clock()).close()  # rolls back, or finds it done
    found = len(open_entries(source)), len(open_entries(target))
    assert sorted(found) == [0, MANY + 5]
    adopt(source, target)
    assert (len(open_entries(source)), len(open_entries(target))) == (0, MANY + 5)


def test_the_end_of_a_cut_off_action_comes_from_another_host(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., RunningHost], source: Path,
    target: Path,
) -> None:  # fmt: skip
    source.parent.mkdir()
    started, ended = threading.Event(), threading.Event()
    rang = EventDef("Rang")

    def hang() -> Event:
        started.set()
        assert ended.wait(PATIENCE_SECONDS)
        return rang(None)

    pack = PackPlugin(Command("hang", lambda _: hang(), [rang]))
    first = flyte_run_host({"demo": pack}, state=source)
    flow = flyte_server.queue("Demo", "hang", None)
    assert started.wait(PATIENCE_SECONDS)
    assert first.stop(drain_seconds=0) == 1
    ended.set()
    assert adopt(source, target).actions == 1
    flyte_run_host({"demo": pack}, state=target)
    assert flyte_server.finished(flow).state == "FATAL"


# What is refused --------------------------------------------------------------------------------


def test_a_file_that_is_not_there(source: Path, target: Path) -> None:
    with pytest.raises(JournalError, match=f"journal {source}: there is none; expected"):
        adopt(source, target)
    assert not source.exists()
    assert not target.exists()


def test_a_journal_does_not_adopt_itself(target: Path) -> None:
    fill(target)
    link = target.with_name("link.db")
    os.link(target, link)
    with pytest.raises(JournalError, match="this configuration's own; expected that of another"):
        adopt(link, target)
    assert len(open_entries(target)) == 5


@pytest.mark.parametrize("which", [0, 1])
def test_a_host_that_runs(source: Path, target: Path, which: int) -> None:
    fill(source)
    fill(target)
    running = (source, target)[which]
    with (
        closing(Journal(running, Clock())),
        pytest.raises(JournalError, match=f"journal {running}: a flyte-host uses it; stop"),
    ):
        adopt(source, target)
    assert len(open_entries(source)) == len(open_entries(target)) == 5


def test_somebody_who_reads_one_of_them(source: Path, target: Path) -> None:
    fill(source)
    with closing(sqlite3.connect(source, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM action").fetchone()
        with pytest.raises(JournalError, match="database is locked"):
            adopt(source, target)
    assert len(open_entries(source)) == 5
    assert adopt(source, target).actions == 3


def test_a_file_of_a_newer_flyte_host(source: Path, target: Path) -> None:
    fill(source)
    execute(source, "PRAGMA user_version = 99", [()])
    with pytest.raises(JournalError, match=f"journal {source}: found schema 99"):
        adopt(source, target)


def test_a_file_that_is_not_a_journal(source: Path, target: Path) -> None:
    source.parent.mkdir()
    source.write_bytes(b"no database" * 1_000)
    with pytest.raises(JournalError, match=f"journal {source}: file is not a database"):
        adopt(source, target)
    assert source.read_bytes() == b"no database" * 1_000


def test_a_folder_where_the_file_should_be(source: Path, tmp_path: Path) -> None:
    fill(source)
    with pytest.raises(JournalError, match="found a folder, expected a file"):
        adopt(source, tmp_path)
