"""flyte is away while results and events pile up: all are there soon after its return."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.fault_rig import HostProcess
from tests.support.figures import Figures
from tests.support.plenty import Plenty
from tests.support.proxy import FaultProxy

ALLOWED_SECONDS = 10
WAITING = (
    "SELECT (SELECT count(*) FROM action WHERE state = 'result'), (SELECT count(*) FROM event)"
)


def waiting(folder: Path) -> tuple[int, int]:
    """Results and events in the journal."""
    with closing(sqlite3.connect(folder / "journal.db", timeout=PATIENCE_SECONDS)) as db:
        results, events = db.execute(WAITING).fetchone()
    return results, events


def taken(folder: Path) -> int:
    """Actions in the journal that have no result yet."""
    with closing(sqlite3.connect(folder / "journal.db", timeout=PATIENCE_SECONDS)) as db:
        found = "SELECT count(*) FROM action WHERE state = 'taken' AND number > 0"
        return int(db.execute(found).fetchone()[0])


def away(folder: Path, count: int, seconds: float) -> tuple[float, int]:
    """Seconds until all was there after the return, and the most requests of any second."""
    flyte = Plenty(["hold"] * count + ["release"])
    with FaultProxy(flyte) as proxy:
        host = HostProcess(folder, proxy.url, "Crowd", max_concurrent=count + 1)
        try:
            wait_until(lambda: flyte.given == count + 1, "all is given out")
            # An answer that is still on its way when flyte goes away is lost with its action.
            wait_until(lambda: taken(folder) == count + 1, "all is taken")
            proxy.away()
            gone_at = time.monotonic()
            (folder / "go.new").write_text(str(count))
            (folder / "go.new").rename(folder / "go")
            wait_until(
                lambda: waiting(folder) == (count + 1, count),
                "all waits for flyte",
                look_seconds=0.1,
            )
            threading.Event().wait(seconds - (time.monotonic() - gone_at))
            assert flyte.finished == {}
            proxy.back()
            back_at = time.monotonic()
            wait_until(
                lambda: (len(flyte.finished), len(flyte.events)) == (count + 1, count),
                "all is there",
            )
            took = time.monotonic() - back_at
            wait_until(lambda: waiting(folder) == (0, 0), "the journal is empty")
        finally:
            host.kill()
        assert flyte.twice == 0
        assert max(flyte.events.values()) == 1
        assert set(flyte.finished.values()) == {"Done"}
        return took, proxy.peak_per_second(back_at)


def test_flyte_is_away_for_3_seconds(tmp_path: Path) -> None:
    away(tmp_path, 200, 3)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [30, 120])
def test_flyte_is_away_for_minutes(tmp_path: Path, figures: Figures, seconds: int) -> None:
    count = 5000
    took, peak = away(tmp_path, count, seconds)
    figures.note(
        f"flyte away for {seconds} s, {count:,} results and {count:,} events waiting: all there "
        f"{took:.1f} s after its return, 0 twice; at most {peak:,} requests in a second"
    )
    assert took < ALLOWED_SECONDS
