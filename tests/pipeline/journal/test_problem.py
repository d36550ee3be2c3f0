"""A disk that is full, read-only, emptied or damaged: an error that says so, and no take."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.clock import Clock
from flyte_host.pipeline.journal import EntryGone, Journal, JournalError
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import ECHO, PackPlugin
from tests.support.journal_file import (
    HINT,
    execute,
    hide,
    show,
    states,
    taken,
    write_delivered,
    write_result,
    write_taken,
)
from tests.support.script import run_script

ROOT = Path(__file__).parents[3]
NOBODY = 65534


# Full ------------------------------------------------------------------------------------------

HOST = """
import os, resource, sys
from pathlib import Path
from flyte_host.secrets import Scrubber
from flyte_host.host.host import Host
from flyte_host.testing.serving import host_config, install
from tests.support.host_parts import ECHO, PackPlugin

url, state = sys.argv[1:]
config = host_config(url, Path(state), {}, {"poll_interval_seconds": 0.05})
host = Host(config, install({"demo": PackPlugin(ECHO)}), {}, Scrubber())
host.start()
print(host.health_url, flush=True)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for line in sys.stdin:
    soft = 4096 if line == "full\\n" else hard
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print("done", flush=True)
print(host.stop(5))
"""


class HostWithADisk:
    """A host in a process of its own, whose files cannot grow while its disk is full."""

    def __init__(self, url: str, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOST, url, str(state)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._health_url = self._process.stdout.readline().strip()

    def set_disk(self, state: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{state}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def ready(self) -> dict[str, Any]:
        page = requests.get(f"{self._health_url}/ready", timeout=PATIENCE_SECONDS)
        checks: dict[str, Any] = page.json()["checks"]
        return checks

    def stop(self) -> tuple[str, str]:
        out, err = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert self._process.returncode == 0, err
        return out, err


def test_on_a_full_disk_nothing_is_taken_until_there_is_space(
    flyte_server: FlyteServer, path: Path
) -> None:
    host = HostWithADisk(flyte_server.url, path)
    assert flyte_server.run("Demo", "echo", 1).payload == 1
    # flyte has the result before the journal says so; that write must not find the disk full.
    wait_until(lambda: states(path) == [(1, "delivered", "")], "the journal is at rest")
    host.set_disk("full")
    unlucky = flyte_server.run("Demo", "echo", 2)
    assert (unlucky.state, unlucky.payload) == ("FATAL", "the host could not record 'echo'")
    wait_until(lambda: not host.ready()["polling"]["healthy"], "the polling pauses")
    for line in ("journal", "polling"):
        assert f"journal {path}: " in host.ready()[line]["reason"]
        assert HINT in host.ready()[line]["reason"]
    later = [flyte_server.queue("Demo", "echo", number) for number in range(3, 6)]
    with pytest.raises(AssertionError, match="not within"):
        flyte_server.finished(later[0], timeout_seconds=0.5)
    host.set_disk("free")
    for number, flow in enumerate(later, 3):
        finished = flyte_server.finished(flow)
        assert (finished.state, finished.payload) == ("SUCCESS", number)
    wait_until(lambda: host.ready()["polling"]["healthy"], "the polling goes on")
    assert host.ready()["journal"]["healthy"]
    out, err = host.stop()
    assert out == "0\n"
    assert "Traceback" not in err


ALMOST_FULL = """
import resource, sys
from pathlib import Path
from flyte_host.clock import Clock
from flyte_host.pipeline.journal import Journal, JournalError
journal = Journal(Path(sys.argv[1]), Clock())
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
space = Path(sys.argv[1] + "-wal").stat().st_size + 40_000
resource.setrlimit(resource.RLIMIT_FSIZE, (space, hard))
try:
    journal.emit("demo", bytes(100_000))
except JournalError as error:
    print(error)
journal.changed_by_others()
journal.emit("demo", b"{}")
print(journal.problem())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(journal.problem() or "none")
"""


def test_a_small_write_that_succeeds_does_not_say_that_the_disk_has_space(path: Path) -> None:
    done = run_script(ALMOST_FULL, path)
    refused, still_refused, freed = done.stdout.splitlines()
    assert HINT in refused
    assert still_refused == refused
    assert freed == "none"


# Read-only -------------------------------------------------------------------------------------

READ_ONLY = """
import os, sys
from pathlib import Path
from flyte_host.clock import Clock
from flyte_host.pipeline.journal import Journal, JournalError, State, Editor
path, user = Path(sys.argv[1]), int(sys.argv[2])
if user:
    path.absolute().as_uri()  # imports from a folder of Python that the user may not read
    os.setuid(user)
try:
    Journal(path, Clock())
except JournalError as error:
    print(error)
with Editor(path, Clock()) as visitor:
    print([each.name for each in visitor.entries(State)])
    try:
        visitor.retry([(each.kind, each.number) for each in visitor.entries(State)])
    except JournalError as error:
        print(error)
"""


def test_a_file_that_cannot_be_written_is_refused_at_the_start_but_can_be_read() -> None:
    user = NOBODY if os.geteuid() == 0 else 0  # root may write everything
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        path = Path(folder) / "flyte-host.db"
        journal = Journal(path, Clock())
        journal.park(journal.emit("demo", b"{}"), "400")
        journal.close()
        path.chmod(0o444)
        if user:
            for each in (Path(folder), *Path(folder).iterdir()):
                os.chown(each, user, -1)
        done = run_script(READ_ONLY, path, user)
        start, read, retry = done.stdout.splitlines()
        journal_of = f"journal {path}: "
        assert start == f"{journal_of}[Errno 13] Permission denied: '{path}'; {HINT}"
        assert read == "['e1']"
        assert retry.startswith(f"{journal_of}attempt to write a readonly database; expected ")


# Deleted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["flyte-host.db", "flyte-host.db-wal", "flyte-host.db-shm"])
def test_a_deleted_file_takes_on_nothing_new_until_it_is_back(
    journal: Journal, path: Path, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "flyte_host.pipeline.journal")
    opened = write_taken(journal, "demo", "Demo", taken())
    file, elsewhere = path.with_name(gone), path.with_name("elsewhere")
    file.rename(elsewhere)
    problem = (
        f"journal {path}: the file was deleted or replaced while flyte-host runs; flyte-host takes "
        "no action that it cannot record: put it back, or restart flyte-host; until then, it "
        "delivers what it held"
    )
    for accept in (
        lambda: write_taken(journal, "demo", "Demo", taken(2)),
        lambda: journal.emit("demo", b"{}"),
    ):
        with pytest.raises(JournalError) as refused:
            accept()
        assert str(refused.value) == problem
    assert journal.problem() == problem
    write_delivered(journal, write_result(journal, opened, b"{}"))  # SQLite has it open
    assert journal.problem() == problem
    file.touch()
    assert journal.problem() == problem  # another file
    elsewhere.rename(file)
    assert journal.problem() == ""
    assert write_taken(journal, "demo", "Demo", taken(2)).number == 2
    assert caplog.messages == [
        f"no action is taken until the journal can be written: {problem}",
        "the journal can be written again",
    ]


def test_a_host_whose_journal_is_deleted_takes_nothing(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., RunningHost], path: Path
) -> None:
    running = flyte_run_host({"demo": PackPlugin(ECHO)}, state=path, poll_interval_seconds=0.05)
    assert flyte_server.run("Demo", "echo", 1).payload == 1
    path.rename(path.with_name("elsewhere"))
    wait_until(lambda: running.page("/ready")[0] == 503, "it is not ready")
    flow = flyte_server.queue("Demo", "echo", 2)  # flyte announces it: few polls
    wait_until(
        lambda: "deleted" in running.page("/ready")[1]["checks"]["polling"]["reason"],
        "the polling pauses",
    )
    with pytest.raises(AssertionError, match="not within"):
        flyte_server.finished(flow, timeout_seconds=0.3)
    path.with_name("elsewhere").rename(path)
    assert flyte_server.finished(flow).payload == 2
    wait_until(lambda: running.page("/ready")[0] == 200, "it is ready")


# Damaged ---------------------------------------------------------------------------------------


def filled(path: Path) -> None:
    Journal(path, Clock()).close()
    execute(
        path,
        "INSERT INTO event (instance, body, changed_at) VALUES ('demo', zeroblob(500), ?)",
        [(str(number),) for number in range(300)],
    )


def test_a_damaged_file_is_refused_at_the_start(path: Path) -> None:
    filled(path)
    content = bytearray(path.read_bytes())
    content[40_000:80_000] = os.urandom(40_000)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(JournalError) as refused:
            Journal(path, Clock())
        assert str(refused.value).startswith(f"journal {path}: the file is damaged: *** in ")
        assert str(refused.value).endswith(
            "; move it away, with the files whose names begin with its name, and flyte-host "
            "starts with an empty one: what was not delivered is lost"
        )
    path.unlink()
    Journal(path, Clock()).close()


def test_a_file_cut_off_is_refused_at_the_start(path: Path) -> None:
    filled(path)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(JournalError, match=r"malformed|damaged"):
        Journal(path, Clock())


def crashed(journal: Journal, path: Path, folder: Path) -> Path:
    """The files as they lie there when the power goes."""
    folder.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        shutil.copy(path.with_name(name), folder / name)
    return folder / path.name


@pytest.mark.parametrize("keep", [0, 10, 32, 4_000, 20_000, 60_000])
def test_a_log_cut_off_loses_its_end_only(
    journal: Journal, path: Path, tmp_path: Path, keep: int
) -> None:
    for number in range(20):
        write_taken(journal, "demo", "Demo", taken(number))
    copy = crashed(journal, path, tmp_path / "copy")
    log = copy.with_name(f"{copy.name}-wal")
    with log.open("r+b") as file:
        file.truncate(keep)
    after = Journal(copy, Clock())
    numbers = [each.number for each in after.unfinished()]
    after.close()
    assert numbers == list(range(1, len(numbers) + 1))


def test_garbage_in_the_log_is_not_read(journal: Journal, path: Path, tmp_path: Path) -> None:
    for number in range(20):
        write_taken(journal, "demo", "Demo", taken(number))
    copy = crashed(journal, path, tmp_path / "copy")
    log = copy.with_name(f"{copy.name}-wal")
    content = log.read_bytes()
    log.write_bytes(content[:-30_000] + os.urandom(30_000))
    after = Journal(copy, Clock())
    numbers = [each.number for each in after.unfinished()]
    after.close()
    assert 0 < len(numbers) < 20
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_write_that_meets_damage_is_told_and_found_out_of(journal: Journal, path: Path) -> None:
    """The schema is changed under the host: the nearest to damage that can be undone."""
    hide(path, "action")
    with pytest.raises(JournalError, match="no such table: action"):
        write_taken(journal, "demo", "Demo", taken())
    assert journal.problem() == f"journal {path}: no such table: action; {HINT}"
    show(path, "action")
    assert journal.problem() == ""


# Locked ----------------------------------------------------------------------------------------


@contextmanager
def broken(path: Path) -> Iterator[None]:
    """While this lasts, no action can be written; a lock would take SQLite's 5 s each time."""
    hide(path, "action")
    yield
    show(path, "action")


def test_a_result_that_cannot_be_written_waits_in_memory(journal: Journal, path: Path) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    with broken(path):
        with pytest.raises(JournalError, match="no such table"):
            write_result(journal, opened, b"mine")
        assert journal.unwritten == 1
        assert journal.problem().startswith(f"journal {path}: no such table: action; {HINT}")
        assert journal.problem().endswith("; finished results that wait in memory for it: 1")
        assert journal.catch_up() == []
        assert journal.unwritten == 1
    assert (journal.backlog().taken, journal.backlog().unwritten) == (1, 1)
    (delivery,) = journal.catch_up()
    assert journal.read(delivery.owed) == delivery
    assert delivery.body == b"mine"
    assert journal.unfinished() == []
    assert (journal.unwritten, journal.problem(), journal.catch_up()) == (0, "", [])


def test_a_result_that_cannot_be_written_at_all_holds_up_no_other(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = [write_taken(journal, "demo", "Demo", taken(number)) for number in (1, 2, 3)]
    with broken(path):
        for each in opened:
            with pytest.raises(JournalError):
                write_result(journal, each, b"{}")
    execute(
        path,
        "CREATE TRIGGER poison BEFORE UPDATE ON action WHEN OLD.number = 1"
        " BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    assert journal.catch_up() == []
    assert [each.number for each in journal.catch_up()] == [2, 3]
    assert (journal.unwritten, journal.problem()) == (1, "")
    assert caplog.text.count("no action is taken") == 1


def test_an_unwritten_result_that_was_dropped_meanwhile_is_forgotten(
    journal: Journal, path: Path
) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    with broken(path), pytest.raises(JournalError):
        write_result(journal, opened, b"{}")
    execute(path, "DELETE FROM action")
    assert journal.catch_up() == []
    assert journal.unwritten == 0


def test_results_that_are_lost_at_the_end_are_told(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    with broken(path):
        with pytest.raises(JournalError):
            write_result(journal, opened, b"{}")
        journal.close()
    assert caplog.messages[-1] == (
        f"results lost, since journal {path} could not be written: 1; "
        "the next start treats their actions as cut off"
    )
    after = Journal(path, Clock())
    assert [each.taken for each in after.unfinished()] == [taken()]
    after.close()


def test_a_result_can_be_written_twice(journal: Journal) -> None:
    """As after a flush that failed: the file may have it already."""
    opened = write_taken(journal, "demo", "Demo", taken())
    first = write_result(journal, opened, b"{}")
    assert write_result(journal, opened, b"{}") == first
    assert journal.read(first.owed) == first
    write_delivered(journal, first)
    with pytest.raises(EntryGone):
        write_result(journal, opened, b"{}")


def test_a_closed_journal_is_a_problem(journal: Journal, path: Path) -> None:
    journal.close()
    assert journal.problem() == f"journal {path}: closed, since the host is stopping"
    assert not path.with_name(f"{path.name}-wal").exists()
