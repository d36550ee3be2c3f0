"""Many actions in sequence: a host does not grow, in memory, threads, files or journal."""

import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from flyte_host.pipeline.journal.retention import KEEP_DELIVERED
from flyte_host.pipeline.schedule.timetable import ASKING
from flyte_host.testing.waiting import wait_until
from tests.support.fault_rig import HostProcess
from tests.support.figures import Figures
from tests.support.plenty import Plenty
from tests.support.proxy import FaultProxy

SAMPLES = 20


@dataclass(frozen=True)
class GrowthSample:
    """Of one process and its journal; memory and journal in kB."""

    memory: int
    threads: int
    files: int
    journal: int


def sample(pid: int, folder: Path) -> GrowthSample:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    journal = sum(each.stat().st_size for each in folder.glob("journal.db*"))
    memory = int(status["VmRSS"].split()[0])
    return GrowthSample(memory, int(status["Threads"]), files, journal // 1024)


def grown(folder: Path, count: int) -> tuple[list[GrowthSample], float]:
    """Samples at equal distances, and the actions per second."""
    flyte = Plenty(["echo"] * count)
    with FaultProxy(flyte) as proxy:
        host = HostProcess(folder, proxy.url, "Crowd")
        pid = host.process.pid
        assert pid is not None
        start, samples = time.monotonic(), []
        try:
            for number in range(1, SAMPLES + 1):
                wanted = count * number // SAMPLES
                wait_until(
                    lambda: len(flyte.finished) >= wanted,  # noqa: B023  used in this turn only
                    f"{wanted} actions",
                    look_seconds=0.05,
                )
                samples.append(sample(pid, folder))
            seconds = time.monotonic() - start
        finally:
            host.kill()
    assert (flyte.twice, len(flyte.finished), set(flyte.finished.values())) == (0, count, {"Done"})
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        rows = db.execute("SELECT count(*) FROM action").fetchone()[0]
    assert rows <= min(count, KEEP_DELIVERED + 100)
    return samples, count / seconds


CROWD = ASKING + 8
"""Workers come and go: up to ASKING talk to flyte, each with a thread and a connection."""


def check(samples: list[GrowthSample]) -> None:
    """The last quarter beside the second: memory within 5 %, threads and files the same crowd."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [statistics.median(each.memory for each in part) for part in (early, late)]
    assert memory[1] < memory[0] * 1.05
    assert max(each.threads for each in late) <= max(each.threads for each in early) + CROWD
    assert max(each.files for each in late) <= max(each.files for each in early) + CROWD


def test_800_actions(tmp_path: Path) -> None:
    samples, _ = grown(tmp_path, 800)
    check(samples)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_100000_actions(tmp_path: Path, figures: Figures) -> None:
    count = 100_000
    samples, per_second = grown(tmp_path, count)
    figures.note(
        f"{count:,} actions, {per_second:.0f} per second; RSS kB, threads, fds, journal kB"
    )
    for number, each in enumerate(samples, 1):
        figures.note(f"{count * number // SAMPLES:>7,}: {astuple(each)}")
    check(samples)
    assert samples[-1].journal < samples[4].journal * 1.2
