"""Several flytes and hosts on one PostgreSQL, whichever is killed, and while that restarts.

Each action is given out once and each step runs once; what was under way in a process that was
killed ends as the guarantees say. ``make soak`` runs the long one and prints its figures.
"""

import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.balancer import Balancer
from tests.support.own_packs import disabled_packs
from tests.support.postgres import PostgresServer
from tests.support.serving import Serving

FLYTES, HOSTS = 3, 4
STEPS = 5
QUIET = ("--log-level", "warning")
EXECUTIONS = int(os.environ.get("SOAK_EXECUTIONS", "5000"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
"""The long one ends with so many executions or after so long, whatever comes first."""
KILL_SECONDS = 2.0
MOST_WAITING = 300
"""Actions that wait at most while events are raised: the events last as long as the kills."""
STILL_SECONDS = 120.0
"""For how long nothing may change before the rest counts as lost."""

PLUGIN = """
import os
import threading
from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Chain", commands=[
            Command(f"step{number}", self.run, [DONE]) for number in range(5)
        ])

    def run(self, input, action):
        # One write to the end of a file: whole, whoever else writes.
        file = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{action.id}\\n".encode())
        os.close(file)
        threading.Event().wait(0.02)  # so that kills meet some that run
        return Event(DONE, input)
"""

STEP = """
- id: s{number}
  dependsOn: {before}
  event: {{packName: {pack}, name: {event}}}
  command: {{packName: Chain, name: step{number}, input: some}}
"""
FIRST = STEP.format(number=0, before=[], pack="Source", event="Go")
LATER = [
    STEP.format(number=number, before=[f"s{number - 1}"], pack="Chain", event="Done")
    for number in range(1, STEPS)
]
FLOW = "".join(["name: chain\nsteps:", FIRST, *LATER])


class Fleet:
    """Flytes behind a balancer and hosts with one pack, each a process that may be killed."""

    def __init__(self, folder: Path, environ: Mapping[str, str], store: str) -> None:
        self._folder = folder
        self._environ = {**environ, "STARTED": str(folder / "started")}
        self._store = store
        self._ports = [_free_port() for _ in range(FLYTES)]
        self.balancer = Balancer(self._ports)
        self.members: list[Serving] = []
        (folder / "chain.yaml").write_text(FLOW, encoding="utf-8")
        config = f'{disabled_packs()}[health]\nlisten = "127.0.0.1:0"\n'
        for number in range(HOSTS):
            place = folder / f"host{number}"
            place.mkdir()
            (place / "flyte-host.toml").write_text(config, encoding="utf-8")

    def start(self) -> None:
        self.balancer.start()
        self.members = [self._make(number) for number in range(FLYTES + HOSTS)]

    def kill(self, number: int) -> None:
        """Kill one, and start it again at once, as a supervisor would."""
        member = self.members[number]
        member.signal(signal.SIGKILL)
        member.ended()
        member.__exit__(None, None, None)
        self.members[number] = self._make(number)

    def revive(self) -> None:
        """Start what ended because it could not reach the database when it started."""
        for number, member in enumerate(self.members):
            if not member.runs:
                member.__exit__(None, None, None)
                self.members[number] = self._make(number)

    def close(self) -> None:
        for member in self.members:
            member.__exit__(None, None, None)
        if self.members:
            self.balancer.stop()
        self.members = []

    def started(self) -> Counter[str]:
        """How often a handler started, by action."""
        path = self._folder / "started"
        return Counter(path.read_text().split() if path.exists() else [])

    def _make(self, number: int) -> Serving:
        if number < FLYTES:
            listen = f"127.0.0.1:{self._ports[number]}"
            options = ("--listen", listen, "--store", self._store, "--flows", "chain.yaml")
            return Serving(self._folder, self._environ, *options, *QUIET, command=("flyte",))
        place = self._folder / f"host{number - FLYTES}"
        return Serving(place, self._environ | {"FLYTE_API": self.balancer.url}, *QUIET)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def fleet(
    tmp_path: Path, installed: Callable[[str, str], Path], flyte_host_environ: dict[str, str]
) -> Iterator[Callable[[str], Fleet]]:
    installed("chain", PLUGIN)
    made: list[Fleet] = []

    def make(store: str) -> Fleet:
        made.append(Fleet(tmp_path, flyte_host_environ, store))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


def raise_events(url: str, number: int, is_open: Callable[[], bool] = lambda: True) -> int:
    """Raise events until flyte has accepted this many; one without an answer is raised again."""
    accepted = 0
    with requests.Session() as session:
        session.trust_env = False
        while accepted < number and is_open():
            body: dict[str, Any] = {"event": "Go", "payload": accepted}
            try:
                answer = session.post(
                    f"{url}/v1/packs/Source/events", json=body, timeout=PATIENCE_SECONDS
                )
                if answer.status_code == 404:
                    session.post(f"{url}/v1/packs", json={"name": "Source"}, timeout=20)
                accepted += answer.status_code == 202
            except requests.RequestException:
                threading.Event().wait(0.05)
    return accepted


class Gate:
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
    postgres: PostgresServer, fleet: Callable[[str], Fleet]
) -> None:
    """A flyte and a host are killed on the way."""
    with postgres.database() as url:
        many, database = fleet(url), PostgresDatabase(url)
        number, rng = 40, random.Random(1)
        accepted = raise_events(many.balancer.url, number)
        wait_until(lambda: finished(database) > number // 4, "a quarter is done")
        many.kill(rng.randrange(FLYTES))
        many.kill(FLYTES + rng.randrange(HOSTS))
        settle(database, many)
        found = account(database, many, accepted)
        assert found["whole executions"] >= number - 2 * 16, found
        assert (found["lost"], found["given twice"], found["steps twice"]) == (0, 0, 0), found
        database.close()
        many.close()


@pytest.mark.soak
@pytest.mark.timeout(2 * SECONDS + 600)
def test_kills_and_restarts_lose_nothing(
    fleet: Callable[[str], Fleet], capsys: pytest.CaptureFixture[str]
) -> None:
    server = PostgresServer()
    url = server.url(server.create())
    database = PostgresDatabase(url, patience_seconds=60)
    many, rng, gate = fleet(url), random.Random(7), Gate(database)
    with ThreadPoolExecutor(1) as pool:
        raising = pool.submit(raise_events, many.balancer.url, EXECUTIONS, gate.is_open)
        kills, crashes = 0, [signal.SIGQUIT, signal.SIGINT]
        while not raising.done():
            threading.Event().wait(KILL_SECONDS)
            many.kill(rng.randrange(FLYTES + HOSTS))
            many.revive()
            kills += 1
            (executions,) = database.row("SELECT count(*) FROM execution")
            progress = max(executions / EXECUTIONS, gate.seconds / SECONDS)
            if crashes and progress > 1 - len(crashes) / 3:
                server.stop(crashes.pop())
                server.start()
    settle(database, many)
    seconds = gate.seconds
    found = account(database, many, raising.result())
    database.close()
    many.close()
    server.remove()
    rate = found["actions"] / seconds
    figures = f"{kills} kills, 2 restarts, {seconds:.0f} s, {rate:.0f} actions/s: {found}"
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    assert (found["lost"], found["given twice"], found["steps twice"]) == (0, 0, 0), found
