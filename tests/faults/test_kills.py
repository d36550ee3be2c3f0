"""SIGKILL at every step of an action's life, and at any moment under load.

What counts is on disk and at flyte: each action has one end, except those that flyte gave out and
the host could no longer write down; no handler of a command that is not idempotent runs twice.
"""

import random
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from flyte_host.pipeline.schedule.timetable import ASKING
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.fault_rig import HostProcess, Reckoning, Rig, lines
from tests.support.figures import Figures
from tests.support.proxy import Act, Exchange

CALLS = ("take", "result", "event", "register")
HANDLERS = (("work", "-start"), ("work", "-end"), ("again", "-start"), ("again", "-end"))


class Keeper:
    """Keeps one host running: the next starts when the last is killed."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._stopping = threading.Event()
        self.kills = 0
        self.host = self._next()
        self._thread = threading.Thread(target=self._keep)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS)
        self.host.signal(signal.SIGTERM)
        self.code = self.host.ended()

    def kill(self) -> None:
        """Returns when the host is gone."""
        self.host.kill()

    def _next(self) -> HostProcess:
        return HostProcess(self._rig.folder, self._rig.proxy.url, "Worker", max_concurrent=8)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            if self.host.ended(0.05) is not None:
                self.host = self._next()
                self.kills += 1  # only now: a thread that waits for it kills the next one


def on_arrival(keeper: Keeper, _: Exchange) -> None:
    keeper.kill()


def on_answer(keeper: Keeper, exchange: Exchange) -> None:
    exchange.forward()
    keeper.kill()


def on_passing(keeper: Keeper, exchange: Exchange) -> None:
    exchange.send(exchange.forward().encoded())
    keeper.kill()


MOMENTS = {
    "when it arrives": on_arrival,
    "when it is answered": on_answer,
    "when its answer has passed": on_passing,
}


def killed_once(keeper: Keeper, rig: Rig, call: str, act: Act) -> None:
    """One kill at that moment, with two actions and two events around it."""
    before = keeper.kills
    rig.proxy.script(call, act)
    rig.load(2)
    rig.want_events(2)
    wait_until(lambda: keeper.kills > before, f"the kill at {call}")


def killed_in_handler(keeper: Keeper, rig: Rig, command: str, moment: str) -> None:
    before = keeper.kills
    rig.load(1, command, moment)
    wait_until(lambda: keeper.kills > before, f"{command} kills at its{moment}")


def check(rig: Rig, account: Reckoning) -> None:
    assert (account.lost, account.twice, account.events_lost) == ((), (), ())
    assert account.parked == 0
    assert (account.actions, account.events) == (rig.asked, rig.wanted)


@pytest.mark.parametrize("call", CALLS)
def test_killed_around_a_call(call: str, tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        with Keeper(rig) as keeper:
            for moment in MOMENTS.values():
                killed_once(keeper, rig, call, partial(moment, keeper))
            rig.wait_settled()
        assert keeper.code == -signal.SIGTERM
        account = rig.account()
        check(rig, account)
        # Other takes may be under way at any kill; one is answered and never seen for certain.
        most = len(MOMENTS) * ASKING
        assert account.gap in range(1 if call == "take" else 0, most + 1)


def test_killed_in_a_handler(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        with Keeper(rig) as keeper:
            for command, moment in HANDLERS:
                killed_in_handler(keeper, rig, command, moment)
            rig.wait_settled()
        account = rig.account()
        check(rig, account)
        assert account.gap == 0
        assert [line for line in lines(tmp_path / "runs") if line.startswith("again")] == [
            "again n3-start 1", "again n3-start 2", "again n4-end 1", "again n4-end 2",
        ]  # fmt: skip
        ended = sorted(name for pack, name, _ in rig.flyte.events("Demo"))
        assert ended == ["Done", "Done", "FATAL", "FATAL"]


def at_random(rig: Rig, kills: int, rng: random.Random) -> tuple[Reckoning, float]:
    """Kills while work comes in all the time; the account, and the seconds to settle."""
    with Keeper(rig) as keeper:
        while keeper.kills < kills:
            before = keeper.kills
            rig.load(rng.randint(0, 3))
            rig.load(rng.randint(0, 2), "again")
            rig.want_events(rng.randint(1, 5))
            threading.Event().wait(rng.uniform(0, 0.4))
            keeper.kill()
            wait_until(lambda: keeper.kills > before, "the next host starts")  # noqa: B023
        last = time.monotonic()
        rig.wait_settled()
        took = time.monotonic() - last
    return rig.account(), took


def test_killed_at_any_moment(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        account, _ = at_random(rig, 10, random.Random())
        check(rig, account)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_killed_many_times(tmp_path: Path, figures: Figures) -> None:
    rounds, kills = 10, 60
    accounts, seconds = [], []
    for turn in range(rounds):
        (tmp_path / str(turn)).mkdir()
        with Rig(tmp_path / str(turn)) as rig:
            account, took = at_random(rig, kills, random.Random(turn))
            check(rig, account)
        accounts.append(account)
        seconds.append(took)
    figures.add("`kill -9` at any moment under load", rounds * kills, accounts, seconds)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_killed_at_each_step_many_times(tmp_path: Path, figures: Figures) -> None:
    rounds = 10
    for call in CALLS:
        for name, moment in MOMENTS.items():
            folder = tmp_path / f"{call} {name}"
            folder.mkdir()
            with Rig(folder) as rig:
                with Keeper(rig) as keeper:
                    for _ in range(rounds):
                        killed_once(keeper, rig, call, partial(moment, keeper))
                    last = time.monotonic()
                    rig.wait_settled()
                    took = time.monotonic() - last
                account = rig.account()
                check(rig, account)
            figures.add(f"`kill -9`: {call}, {name}", rounds, [account], [took])
    for command, when in HANDLERS:
        folder = tmp_path / f"{command}{when}"
        folder.mkdir()
        with Rig(folder) as rig:
            with Keeper(rig) as keeper:
                for _ in range(rounds):
                    killed_in_handler(keeper, rig, command, when)
                last = time.monotonic()
                rig.wait_settled()
                took = time.monotonic() - last
            account = rig.account()
            check(rig, account)
        handler = "an idempotent handler" if command == "again" else "a handler"
        figures.add(f"`kill -9`: {when[1:]} of {handler}", rounds, [account], [took])
