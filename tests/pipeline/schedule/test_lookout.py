"""Somebody looks for answers whenever one is under way, whatever the workers do meanwhile."""

import random
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Command, Event
from flyte_host.client.engine import find_engine
from flyte_host.model import Registration
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.wait import Steps
from tests.support.hand_clock import HandClock
from tests.support.host_parts import ECHO, OK, PackPlugin, flyte_script, served
from tests.support.pipeline_rig import EMPTY, PipelineRig
from tests.support.scripted_server import ScriptedServer, Seen, action, reply

pytest.importorskip("pycurl", reason="no pycurl: pip install flyte-host[curl]")


LONG = 3600.0


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other")
        yield running


@contextmanager
def running(server: ScriptedServer, tmp_path: Path, **more: Any) -> Iterator[PipelineRig]:
    more.setdefault("plugins", {"demo": PackPlugin(ECHO)})
    rig = PipelineRig(server, tmp_path / "flyte-host.db", interval_seconds=60, **more).start()
    try:
        wait_until(lambda: rig.view().polled_at, "the first poll")
        yield rig
    finally:
        rig.close()


class Asking:
    """Steps that ask flyte once; ``over`` is set when its answer has been looked at."""

    def __init__(self, rig: PipelineRig) -> None:
        self._rig = rig
        self.over = threading.Event()
        self.is_well = True

    def steps(self) -> Steps[None]:
        url = self._rig.server.url
        found = Registration("Other", f"{url}/v1/packs/Other/actions/take", f"{url}/unused")
        yield from self._rig.parts.client.taking(found)
        self.over.set()

    def begin(self, *, keeps: bool = False) -> None:
        """As a job of the workers, which ends only when somebody else has looked if it ``keeps``
        the worker.
        """

        def ask_and_keep() -> None:
            self._rig.parts.workers.go(self.steps())
            self.keep_a_worker()

        self._rig.schedule.turns.add_job(ask_and_keep if keeps else self.steps())

    def keep_a_worker(self) -> None:
        """A job that ends only when somebody else has looked."""
        self.is_well = self.over.wait(PATIENCE_SECONDS / 2)


def test_a_take_that_only_goes_out_to_a_network_comes_before_a_write() -> None:
    """However slow flyte is: the write keeps its worker, the take does not."""
    make_network = find_engine().make_network
    assert make_network is not None
    hand = HandClock()
    schedule = Schedule(LONG, hand.clock)
    [pack] = served({"demo": PackPlugin(ECHO)}).values()
    schedule.add(pack)
    schedule.open(make_network(1000))
    for _ in range(2):
        turn = schedule.turns.next(waits=False)
        assert isinstance(turn, Turn)
        assert turn.may_begin()
        hand.seconds += 2 * BACK_SECONDS
        turn.found()
        schedule.turns.add_chore(print)
    assert schedule.turns.next(waits=False) is print


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_is_read_whatever_else_keeps_the_worker_that_asked(
    server: ScriptedServer, tmp_path: Path, seed: int
) -> None:
    """It takes something that lasts right after it has asked, while the others sleep or look.

    No worker wakes up by itself: one that was not called would sleep on.
    """
    rng = random.Random(seed)
    with running(server, tmp_path, linger_seconds=LONG) as rig:
        for _ in range(150):
            asking = [Asking(rig) for _ in range(rng.choice([1, 1, 2, 5]))]
            for each in asking:
                each.begin(keeps=rng.random() < 0.5)
                if rng.random() < 0.3:
                    rig.schedule.turns.add_job(each.keep_a_worker)
            for each in asking:
                assert each.over.wait(PATIENCE_SECONDS)
                assert each.is_well
            if rng.random() < 0.5:  # workers fall asleep in different places
                threading.Event().wait(rng.choice([0.2, 1.0, 3.0]) * BACK_SECONDS)


def test_an_answer_is_read_after_all_workers_but_two_have_ended(
    server: ScriptedServer, tmp_path: Path
) -> None:
    with running(server, tmp_path) as rig:
        keeping = [Asking(rig) for _ in range(6)]
        for each in keeping:
            rig.schedule.turns.add_job(each.keep_a_worker)
        wait_until(lambda: len(rig.parts.workers.threads) > 6, "a worker for each")
        for each in keeping:
            each.begin()
            assert each.over.wait(PATIENCE_SECONDS)
        wait_until(lambda: len(rig.parts.workers.threads) <= 3, "the others end")
        last = Asking(rig)
        last.begin()
        rig.schedule.turns.add_job(last.keep_a_worker)
        assert last.over.wait(PATIENCE_SECONDS)
        assert last.is_well


def test_a_handler_that_lasts_keeps_no_answer_of_another_pack(
    server: ScriptedServer, tmp_path: Path
) -> None:
    """The handler of one waits for that of the other, whose action flyte gives out meanwhile."""
    lasting, started = threading.Event(), threading.Event()

    def last(_: Any) -> Event:
        started.set()
        assert lasting.wait(PATIENCE_SECONDS)
        return OK()

    def release(_: Any) -> Event:
        lasting.set()
        return OK()

    queued: deque[bytes] = deque()

    def other(_: Seen) -> bytes:
        if not queued:
            return EMPTY
        assert started.wait(PATIENCE_SECONDS)
        return queued.popleft()

    server.on("POST /v1/packs/Other/actions/take", [other])
    plugins = {
        "demo": PackPlugin(Command("last", last, [OK])),
        "other": PackPlugin(Command("release", release, [OK]), name="Other"),
    }
    with running(server, tmp_path, plugins=plugins, linger_seconds=LONG) as rig:
        for number in range(40):
            lasting.clear()
            started.clear()
            server.on(f"POST /v1/packs/Other/actions/b{number}/result", reply(202))
            queued.append(reply(200, action(server.url, "Other", f"b{number}", command="release")))
            rig.schedule.wake("Other", {})
            rig.submit(number, "last")
            rig.next_event()
            rig.next_event()
