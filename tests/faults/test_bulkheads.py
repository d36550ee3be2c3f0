"""A pack beside one that misbehaves gets its actions in and their results out."""

import sqlite3
import statistics
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from flyte_host.clock import Clock
from flyte_host.pipeline.delivery.event_rooms import MOST_EVENTS
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.schedule.idle_workers import LINGER_SECONDS
from flyte_host.testing.waiting import wait_until
from tests.support.fault_rig import HostProcess
from tests.support.figures import Figures
from tests.support.neighbours import LEAKED_PER_ACTION, Town
from tests.support.proxy import FaultProxy

ALLOWED_RATIO = 10
"""How much longer than alone an action may take beside a bad pack, in the median."""
ACTIONS = {"Leaking": 1000, "Raising": 1000, "Refusing": 0, "Flooding": 0, "Huge": 30}
"""For each bad pack, in a long run."""


FULL = f"{MOST_EVENTS} events of pack demo1 wait for flyte"


@dataclass(frozen=True)
class Stay:
    """What the good pack's actions took, each and together, and what is known of the bad pack."""

    each_seconds: list[float]
    all_seconds: float
    finished: list[str]
    raised: int
    threads: int
    log: str

    @property
    def median(self) -> float:
        return statistics.median(self.each_seconds)

    @property
    def most(self) -> float:
        """Of 19 in 20."""
        return statistics.quantiles(self.each_seconds, n=20)[-1]


def stay(folder: Path, *plugins: str, good: int, bad: int = 0, ill: bool = False) -> Stay:
    flyte = Town(Good=good, Bad=bad, ill=ill)
    with FaultProxy(flyte) as proxy:
        began = time.monotonic()
        host = HostProcess(folder, proxy.url, *plugins)
        try:
            wait_until(lambda: flyte.ended["Good"], "the first result")
            began = time.monotonic()
            wait_until(lambda: len(flyte.ended["Good"]) == good, "the good")
            all_seconds = time.monotonic() - began
            wait_until(lambda: len(flyte.ended["Bad"]) == bad, "the bad")
            if ill:
                wait_until(lambda: FULL in (folder / "host.log").read_text(), "no more room")
            threads = threads_left(host)
        finally:
            host.kill()
    assert flyte.twice == 0
    raised = sum(each.stat().st_size for each in folder.glob("raised.*"))
    log = (folder / "host.log").read_text()
    return Stay(
        flyte.ended["Good"], all_seconds, list(flyte.finished.values()), raised, threads, log
    )


def threads_left(host: HostProcess) -> int:
    """After workers that are no longer needed have had time to end."""
    counts = []
    for _ in range(20):
        counts.append(len(list(Path(f"/proc/{host.process.pid}/task").iterdir())))
        threading.Event().wait(LINGER_SECONDS / 8)
    return min(counts)


def fill_backlog(folder: Path) -> None:
    """Almost as many events of the bad pack as may wait."""
    with closing(Journal(folder / "journal.db", Clock())):
        pass
    with closing(sqlite3.connect(folder / "journal.db")) as db, db:
        db.executemany(
            "INSERT INTO event (instance, body, changed_at) VALUES ('demo1', ?, '2030')",
            [(b'{"event":"Tick"}',)] * (MOST_EVENTS - 50),
        )


def check(name: str, made: Stay, good: int, bad: int) -> None:
    """Each did what it is here for, and all actions have ended."""
    assert (made.finished.count("Done") - good, made.finished.count("FATAL")) == {
        "Leaking": (bad, 0), "Raising": (0, bad), "Huge": (0, bad),
    }.get(name, (0, 0))  # fmt: skip
    assert (made.threads > LEAKED_PER_ACTION * bad) is (name == "Leaking") or bad < 10
    assert ("observer of demo1 failed: KeyError" in made.log) is (name == "Raising")
    assert ("plugin demo1 is broken: flyte_commands: ValueError: no commands" in made.log) is (
        name == "Refusing"
    )
    assert (made.raised > 0) is (name == "Flooding")


@pytest.mark.parametrize("name", ACTIONS)
def test_a_pack_beside_a_bad_one(name: str, tmp_path: Path) -> None:
    flood = name == "Flooding"
    if flood:
        fill_backlog(tmp_path)
    bad = min(20, ACTIONS[name])
    made = stay(tmp_path, "Good", name, good=50, bad=bad, ill=flood)
    check(name, made, 50, bad)
    assert (made.raised in range(40, 51)) is flood


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_packs_beside_bad_ones(tmp_path: Path, figures: Figures) -> None:
    good = 2000
    (tmp_path / "alone").mkdir()
    alone = stay(tmp_path / "alone", "Good", good=good)
    figures.note(f"{good:,} actions alone: {words(alone)}")
    ratios = {}
    for name, bad in ACTIONS.items():
        (tmp_path / name).mkdir()
        made = stay(tmp_path / name, "Good", name, good=good, bad=bad)
        check(name, made, good, bad)
        ratios[name] = made.median / alone.median
        figures.note(
            f"beside {name}: {words(made)}; {ratios[name]:.1f} times as long in the median, "
            f"{made.all_seconds / alone.all_seconds:.1f} times in all; "
            f"{made.raised:,} events raised, {made.threads} threads"
        )
    assert max(ratios.values()) < ALLOWED_RATIO, ratios


def words(made: Stay) -> str:
    return (
        f"{1000 * made.median:.1f} ms (median), {1000 * made.most:.1f} ms (19 of 20), "
        f"{made.all_seconds:.1f} s in all"
    )
