"""As many threads as there is work for: idle packs cost none, and nobody waits for a busy one."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Command, Event
from flyte_host.pipeline.schedule.idle_workers import KEPT
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import ECHO, OK, PackPlugin, flyte_script
from tests.support.pipeline_rig import EMPTY, TAKE, HandlerGate, PipelineRig, act
from tests.support.scripted_server import ScriptedServer, Seen, action, reply

OTHER_TAKE = "POST /v1/packs/Other/actions/take"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other", *[f"P{number}" for number in range(100)])
        yield running


Rigs = Callable[..., PipelineRig]


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    made: list[PipelineRig] = []

    def make(**more: Any) -> PipelineRig:
        more.setdefault("plugins", {"demo": PackPlugin(ECHO)})
        made.append(PipelineRig(server, tmp_path / "flyte-host.db", **more).start())
        return made[-1]

    yield make
    for each in made:
        each.close(0.2)


@pytest.fixture
def gate() -> Iterator[HandlerGate]:
    made = HandlerGate()
    yield made
    made.go_on.set()


def workers(rig: PipelineRig) -> int:
    return len(rig.parts.workers.threads)


def test_a_hundred_idle_packs_keep_a_few_threads(rig: Rigs, server: ScriptedServer) -> None:
    packs = {f"p{number}": PackPlugin(ECHO, name=f"P{number}") for number in range(100)}
    made = rig(plugins=packs, interval_seconds=60)
    wait_until(lambda: all(made.view(each).polled_at for each in packs), "all are polled")
    wait_until(lambda: workers(made) <= KEPT + 1, "the others end")


def test_a_pool_that_has_shrunk_grows_again(rig: Rigs, gate: HandlerGate) -> None:
    made = rig(plugins={"demo": PackPlugin(Command("gate", gate, [OK]))}, slots=10)
    for number in range(10):
        made.submit(number, "gate")
    gate.wait_for(10)
    assert workers(made) > 10
    gate.go_on.set()
    wait_until(lambda: workers(made) <= KEPT + 1, "most of them end")
    for number in range(10, 20):
        made.submit(number, "gate")
    gate.wait_for(10)


def test_stuck_handlers_keep_their_threads_and_stop_no_other_pack(
    rig: Rigs, server: ScriptedServer, gate: HandlerGate
) -> None:
    stuck = Command("gate", gate, [OK], timeout_seconds=0.05)
    plugins = {"demo": PackPlugin(stuck), "other": PackPlugin(ECHO, name="Other")}
    made = rig(plugins=plugins, slots=3)
    for number in range(3):
        made.submit(number, "gate")
    wait_until(lambda: made.view().quarantined, "all slots are stuck")
    seen = made.count(OTHER_TAKE)
    made.wait_for(OTHER_TAKE, seen + 10)
    gate.go_on.set()
    wait_until(lambda: made.view().stuck == 0, "they end")


def test_a_flood_of_one_pack_does_not_keep_another_from_its_polls(
    rig: Rigs, server: ScriptedServer
) -> None:
    numbers = iter(range(10**6))

    def flood(_: Seen) -> bytes:
        return act(server, next(numbers))

    server.on(TAKE, [flood])
    plugins = {"demo": PackPlugin(ECHO), "other": PackPlugin(ECHO, name="Other")}
    made = rig(plugins=plugins, slots=16)
    made.wait_for(TAKE, 50)
    seen = made.count(OTHER_TAKE)
    made.wait_for(OTHER_TAKE, seen + 10)


def test_one_pack_at_a_slow_flyte_uses_many_workers(rig: Rigs, server: ScriptedServer) -> None:
    """Answers come only when eight takes wait for one: a single taker would get none."""
    together = threading.Barrier(8)
    numbers, lock = iter(range(10**6)), threading.Lock()

    def answer(_: Seen) -> bytes:
        with lock:
            number = next(numbers)
        threading.Event().wait(0.025)  # the latency
        if number >= 50:
            together.wait(PATIENCE_SECONDS)
        return act(server, number) if number < 58 else reply(204)

    server.on(TAKE, [answer])
    made = rig(slots=16, interval_seconds=0.02)
    wait_until(lambda: len(made.results()) >= 58, "all results", timeout_seconds=60)
    together.abort()


def test_a_handler_runs_in_the_worker_that_took_its_action(rig: Rigs) -> None:
    names: list[str] = []

    def handler(input: Any) -> Event:
        names.append(threading.current_thread().name)
        return OK()

    made = rig(plugins={"demo": PackPlugin(Command("name", handler, [OK]))})
    made.submit(1, "name")
    made.next_event()
    assert names[0].startswith("worker-")


def test_without_another_thread_the_workers_that_there_are_go_on(
    rig: Rigs, server: ScriptedServer, gate: HandlerGate, caplog: pytest.LogCaptureFixture
) -> None:
    queued = deque(
        reply(200, action(server.url, "Other", f"b{number}", command="gate"))
        for number in range(16)
    )
    together = threading.Barrier(16)

    def accept(_: Seen) -> bytes:
        together.wait(PATIENCE_SECONDS)
        return reply(202)

    for number in range(16):
        server.on(f"POST /v1/packs/Other/actions/b{number}/result", [accept])
    server.on(OTHER_TAKE, [lambda _: queued.popleft() if queued else EMPTY])
    made = rig(
        plugins={
            "demo": PackPlugin(ECHO),
            "other": PackPlugin(Command("gate", gate, [OK]), name="Other"),
        },
        packs={"demo": {"max_concurrent": 4}, "other": {"max_concurrent": 16}},
    )
    gate.wait_for(16)
    gate.go_on.set()
    for _ in range(16):
        made.next_event()
    # The server has a thread for each connection that will be used again, and can make no more.
    wait_until(lambda: workers(made) <= KEPT + 1, "most of them end")
    usual = threading.stack_size(2**46)
    try:
        for start in range(20, 40, 5):
            for number in range(start, start + 5):
                made.submit(number)
            assert [made.next_event()[0] for _ in range(5)] == ["Ok"] * 5
    finally:
        threading.stack_size(usual)
    told = [each for each in caplog.messages if each.startswith("cannot start another worker")]
    assert len(told) <= 1


def test_all_workers_end_at_the_close(rig: Rigs) -> None:
    made = rig()
    made.submit(1)
    made.next_event()
    threads = made.parts.workers.threads
    assert made.close(10) == 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(deadline - time.monotonic())
        assert not thread.is_alive()


def test_an_internal_error_in_a_turn_is_a_problem_of_its_pack_and_ends_no_worker(
    rig: Rigs, caplog: pytest.LogCaptureFixture
) -> None:
    made = rig(interval_seconds=60)
    wait_until(lambda: made.view().polled_at, "the first poll")

    def fail() -> None:
        raise RuntimeError("a bug")

    made.parts.schedule.turns.add_job(fail)
    told = "internal error in a worker: an action may stay open until a restart"
    wait_until(lambda: told in caplog.messages, "it is told")
    made.submit(1)
    assert made.next_event()[0] == "Ok"


def test_no_worker_blocks_while_a_disk_works(rig: Rigs) -> None:
    """A backup tool that holds the journal for a moment, as a slow disk would."""
    made = rig(slots=8)
    made.submit(1)
    assert made.next_event()[0] == "Ok"
    with closing(sqlite3.connect(made.parts.journal.path)) as db:
        db.execute("BEGIN IMMEDIATE")
        for number in range(2, 6):
            made.submit(number)
        wait_until(lambda: made.view().running - made.view().taking == 4, "all four are taken")
        assert len(made.results()) == 1
        db.rollback()
    assert [made.next_event()[0] for _ in range(4)] == ["Ok"] * 4
