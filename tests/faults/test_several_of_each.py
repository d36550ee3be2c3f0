"""Several flytes and hosts on one PostgreSQL, whichever is killed, and while that restarts.

Each action is given out once and each step runs once; what was under way in a process that was
killed ends as the guarantees say. ``make soak`` runs the long one and prints its figures.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.testing.waiting import wait_until
from tests.support.fleet import PLUGIN, STEPS, Fleet
from tests.support.postgres import POSTGRES, SQLITE, PostgresServer

FLYTES, HOSTS = 3, 4
EXECUTIONS = int(os.environ.get("SOAK_EXECUTIONS", "5000"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
"""The long one ends after this many executions or this long, whatever comes first."""
KILL_SECONDS = 2.0
MOST_WAITING = 300
"""Actions that wait at most while events are raised: the events last as long as the kills."""
STILL_SECONDS = 120.0
"""For how long nothing may change before the rest counts as lost."""


@pytest.fixture
def make_fleet(
    tmp_path: Path, installed: Callable[[str, str], Path], flyte_host_environ: dict[str, str]
) -> Callable[..., Fleet]:
    installed("chain", PLUGIN)

    def make(store: Path | str, flytes: int = FLYTES, steps: int = STEPS) -> Fleet:
        return Fleet(tmp_path, flyte_host_environ, store, numbers=(flytes, HOSTS), steps=steps)

    return make


class EventGate:
    """Lets events through until the time is over, and only while few actions wait."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._begin = time.monotonic()
        self._calls = 0

    def is_open(self) -> bool:
        self._calls += 1
        if self._calls % 20 == 0:
            wait_until(self._few_wait, "few actions wait", timeout_seconds=SECONDS)
        return self.seconds < SECONDS

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def _few_wait(self) -> bool:
        return states(self._database)["NEW"] < MOST_WAITING or self.seconds > SECONDS


def states(database: PostgresDatabase) -> Counter[str]:
    return Counter(dict(database.rows("SELECT state, count(*) FROM action GROUP BY state")))


def finished(database: PostgresDatabase) -> int:
    (number,) = database.row(
        "SELECT count(*) FROM action WHERE step_id = ? AND state = 'SUCCESS'", f"s{STEPS - 1}"
    )
    return int(number)


def settle(database: PostgresDatabase, fleet: Fleet) -> None:
    """Until nothing waits and whatever started has its end, or nothing changes."""
    seen, until = states(database), time.monotonic() + STILL_SECONDS
    while time.monotonic() < until and not _is_settled(database, fleet):
        fleet.revive()
        threading.Event().wait(0.5)
        if (now := states(database)) != seen:
            seen, until = now, time.monotonic() + STILL_SECONDS


def _is_settled(database: PostgresDatabase, fleet: Fleet) -> bool:
    if states(database)["NEW"]:
        return False
    rows = database.rows("SELECT id FROM action WHERE state = 'PENDING'")
    return not {action for (action,) in rows} & fleet.started().keys()


def account(database: PostgresDatabase, fleet: Fleet, accepted: int) -> dict[str, Any]:
    executions = database.row("SELECT count(*) FROM execution")[0]
    actions = database.rows("SELECT id, correlation_id, step_id, state FROM action")
    steps = Counter((execution, step) for _, execution, step, _ in actions)
    started = fleet.started()
    pending = {action for action, _, _, state in actions if state == "PENDING"}
    ends = states(database)
    successes = Counter(execution for _, execution, _, state in actions if state == "SUCCESS")
    failed = {execution for _, execution, _, state in actions if state == "FATAL"}
    in_gap = {execution for _, execution, _, state in actions if state == "PENDING"}
    broken_off = [
        execution
        for _, execution, step, _ in actions
        if step == "s0" and successes[execution] < STEPS and execution not in failed | in_gap
    ]
    return {
        "events accepted": accepted,
        "executions": executions,
        "actions": len(actions),
        "whole executions": finished(database),
        "ended as FATAL by a kill": ends["FATAL"],
        "in the gap": len(pending - started.keys()),
        "started without an end": len(pending & started.keys()),
        "lost": len(broken_off) + len(pending & started.keys()) + max(0, accepted - executions),
        "given twice": sum(count > 1 for count in started.values()),
        "steps twice": sum(count > 1 for count in steps.values()),
    }


@pytest.mark.soak
def test_flytes_and_hosts_share_the_work(
    postgres: PostgresServer, make_fleet: Callable[..., Fleet]
) -> None:
    """A flyte and a host are killed on the way."""
    with postgres.database() as url, make_fleet(url) as fleet:
        database = PostgresDatabase(url)
        number, rng = 40, random.Random(1)
        accepted = fleet.raise_events(number)
        wait_until(lambda: finished(database) > number // 4, "a quarter is done")
        for member in (rng.randrange(FLYTES), FLYTES + rng.randrange(HOSTS)):
            fleet.kill(member)
            fleet.start(member)
        settle(database, fleet)
        found = account(database, fleet, accepted)
        assert found["whole executions"] >= number - 2 * 16, found
        assert (found["lost"], found["given twice"], found["steps twice"]) == (0, 0, 0), found
        database.close()


@pytest.mark.soak
@pytest.mark.parametrize("kind", [SQLITE, POSTGRES])
def test_each_host_has_its_share(
    postgres: PostgresServer,
    make_fleet: Callable[..., Fleet],
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Four hosts of one flyte; printed are the actions that each of them ran."""
    number = 2_000
    with postgres.database() as url:
        store = url if kind == POSTGRES else tmp_path / "flyte.db"
        with make_fleet(store, flytes=1, steps=1) as fleet:
            fleet.raise_events(number)
            wait_until(lambda: sum(fleet.shares().values()) >= number, "all have started")
            shares = sorted(fleet.shares().items())
            started = fleet.started()
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {', '.join(f'{count}' for _, count in shares)}\n")
    assert (len(started), max(started.values())) == (number, 1)
    assert len(shares) == HOSTS


@pytest.mark.soak
@pytest.mark.timeout(2 * SECONDS + 600)
def test_kills_and_restarts_lose_nothing(
    make_fleet: Callable[..., Fleet], postgres_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = PostgresServer(postgres_files)
    url = server.url(server.create())
    database = PostgresDatabase(url, patience_seconds=60)
    rng, gate = random.Random(7), EventGate(database)
    with make_fleet(url) as fleet, ThreadPoolExecutor(1) as pool:
        raising = pool.submit(fleet.raise_events, EXECUTIONS, gate.is_open)
        kills, crashes = 0, [signal.SIGQUIT, signal.SIGINT]
        while not raising.done():
            threading.Event().wait(KILL_SECONDS)
            member = rng.randrange(FLYTES + HOSTS)
            fleet.kill(member)
            fleet.start(member)
            fleet.revive()
            kills += 1
            (executions,) = database.row("SELECT count(*) FROM execution")
            progress = max(executions / EXECUTIONS, gate.seconds / SECONDS)
            if crashes and progress > 1 - len(crashes) / 3:
                server.stop(crashes.pop())
                server.start()
        settle(database, fleet)
        seconds = gate.seconds
        found = account(database, fleet, raising.result())
    database.close()
    server.remove()
    rate = found["actions"] / seconds
    figures = f"{kills} kills, 2 restarts, {seconds:.0f} s, {rate:.0f} actions/s: {found}"
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    assert (found["lost"], found["given twice"], found["steps twice"]) == (0, 0, 0), found
