"""SIGTERM at any moment, with a slow flyte and stuck handlers: the end comes in time."""

import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.fault_rig import HostProcess, lines
from tests.support.figures import Figures
from tests.support.plenty import Plenty
from tests.support.proxy import Behind, FaultProxy, ProxyAnswer
from tests.support.scripted_server import Seen

DRAIN_SECONDS = 0.5
SLOTS = 16
COMMANDS = ("echo", "echo", "hold", "stuck", "release")


@dataclass(frozen=True)
class Stop:
    code: int | None
    seconds: float
    lost: int
    gap: int
    twice: int


def slow(behind: Behind, rng: random.Random, stopping: threading.Event) -> Behind:
    """Half of the answers take longer than the host waits, and some longer than its drain."""

    def answer(seen: Seen) -> ProxyAnswer:
        found = behind(seen)
        if rng.random() < 0.5:
            stopping.wait(rng.uniform(0, 2))
        return found

    return answer


def pages_in(folder: Path) -> Iterator[str]:
    for line in lines(folder / "host.log"):
        if "health pages at " in line:
            yield line.rpartition(" ")[2]


def look_at_pages(folder: Path) -> None:
    """Somebody who reads the health page while the host stops: it asks the slow flyte."""
    for url in pages_in(folder):
        with suppress(requests.RequestException):
            requests.get(url, timeout=PATIENCE_SECONDS)


def stopped(folder: Path, seed: int) -> Stop:
    folder.mkdir()
    rng = random.Random(seed)
    flyte = Plenty(rng.choices(COMMANDS, k=200))
    proxy = FaultProxy(flyte)
    proxy.behind = slow(flyte, rng, proxy.stopping)
    with proxy:
        host = HostProcess(
            folder, proxy.url, "Crowd", timeout_seconds=0.5, drain_seconds=DRAIN_SECONDS
        )
        try:
            if rng.random() < 0.9:  # else: while it starts
                wait_until(lambda: flyte.given, "a take")
            threading.Event().wait(rng.uniform(0, 1.5))
            reader = threading.Thread(target=look_at_pages, args=(folder,))
            reader.start()
            asked_at = time.monotonic()
            host.signal(signal.SIGTERM)
            code = host.ended()
            seconds = time.monotonic() - asked_at
            reader.join()
        finally:
            host.kill()
    journal = kept(folder)
    open_ = {each for each in flyte.unfinished() if each not in journal}
    lost = {each for each in flyte.unfinished() if journal.get(each) in {"delivered", "parked"}}
    return Stop(code, seconds, len(lost), len(open_), flyte.twice)


def kept(folder: Path) -> dict[str, str]:
    if not (folder / "journal.db").exists():
        return {}
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'action'").fetchone():
            return {}
        return dict(db.execute("SELECT id, state FROM action").fetchall())


def check(stop: Stop) -> None:
    """Whatever the machine does meanwhile."""
    assert stop.code == -signal.SIGTERM
    assert stop.seconds <= DRAIN_SECONDS + 1
    # As many takes as the pack has slots may have answers that come after the drain.
    assert (stop.lost, stop.gap <= SLOTS) == (0, True)


def test_a_few_stops(tmp_path: Path) -> None:
    with ThreadPoolExecutor(5) as pool:
        for stop in pool.map(lambda seed: stopped(tmp_path / str(seed), seed), range(5)):
            check(stop)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_200_stops(tmp_path: Path, figures: Figures) -> None:
    with ThreadPoolExecutor(6) as pool:
        stops = list(pool.map(lambda seed: stopped(tmp_path / str(seed), seed), range(200)))
    seconds = sorted(stop.seconds for stop in stops)
    figures.note(
        f"SIGTERM at {len(stops)} moments, drain {DRAIN_SECONDS} s: ended after "
        f"{seconds[len(seconds) // 2]:.2f} s (median), {seconds[-1]:.2f} s (most), "
        f"{sum(stop.code == -signal.SIGTERM for stop in stops)} by the signal; lost "
        f"{sum(stop.lost for stop in stops)}, in flyte's gap {sum(stop.gap for stop in stops)}"
    )
    for stop in stops:
        check(stop)
        assert stop.seconds <= DRAIN_SECONDS + 1
