"""A coroutine that does not yield harms its own pack's coroutines, and nobody else."""

import asyncio
import gc
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_host import Command, Event
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.pipeline.handlers.coroutines import Coroutines
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.host_parts import OK, PackPlugin

RunHost = Callable[..., RunningHost]
BLOCKED = (
    r"the coroutines of pack demo have been blocked for \d+\.\d s by Demo:freeze "
    r"\(at handlers/test_pack_loop.py:\d+: release\.wait\(PATIENCE_SECONDS\)\)"
)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def plugins(release: threading.Event) -> dict[str, PackPlugin]:
    async def freeze(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    async def quick(input: Any) -> Event:
        return OK()

    async def stop(input: Any) -> Event:
        asyncio.get_running_loop().stop()
        return OK()

    commands = [
        Command("stop", stop, [OK]),
        Command("freeze", freeze, [OK], timeout_seconds=PATIENCE_SECONDS),
        Command("quick", quick, [OK], timeout_seconds=0.2),
        Command("plain", lambda _: OK(), [OK]),
    ]
    return {
        "demo": PackPlugin(*commands),
        "other": PackPlugin(*commands, name="Other"),
    }


def test_only_the_coroutines_of_its_own_pack_wait(
    flyte_run_host: RunHost, flyte_server: FlyteServer, release: threading.Event
) -> None:
    host = flyte_run_host(plugins(release))
    freezing = flyte_server.queue("Demo", "freeze")

    def slots() -> Any:
        return host.page("/ready")[1]["checks"]["slots"]

    wait_until(lambda: re.fullmatch(BLOCKED, slots()["reason"]), "the blockage is told")
    late = [flyte_server.run("Demo", "quick") for _ in range(5)]  # more than it has slots
    assert {each.event for each in late} == {"FATAL"}
    why = "command 'quick' did not finish within 0.2 s: " + BLOCKED
    assert all(re.fullmatch(why, str(each.payload)) for each in late)
    assert flyte_server.run("Demo", "plain").event == "Ok"
    assert flyte_server.run("Other", "quick").event == "Ok"
    assert flyte_server.run("Other", "plain").event == "Ok"
    assert re.fullmatch(BLOCKED, slots()["reason"]), "none is stuck"
    release.set()
    assert flyte_server.finished(freezing).state == "SUCCESS"
    assert flyte_server.run("Demo", "quick").event == "Ok"


def test_a_loop_that_a_handler_stops_runs_again(
    flyte_run_host: RunHost, flyte_server: FlyteServer, release: threading.Event
) -> None:
    flyte_run_host(plugins(release))
    assert flyte_server.run("Demo", "stop").event == "Ok"
    assert flyte_server.run("Demo", "quick").event == "Ok"


def test_calls_that_are_withdrawn_do_not_pile_up_on_a_blocked_loop(
    release: threading.Event,
) -> None:
    coroutines, entered = Coroutines(Clock(), Counters(), ThreadWatch()), threading.Event()
    loop = coroutines.loop_of("demo")

    def block() -> None:
        entered.set()
        release.wait(PATIENCE_SECONDS)

    loop.loop.call_soon_threadsafe(block)
    assert entered.wait(PATIENCE_SECONDS)

    class Call:
        def __call__(self) -> None: ...

    calls = [Call() for _ in range(100)]
    watched = [weakref.ref(each) for each in calls]
    assert all(loop.begin(each)() for each in calls)
    calls.clear()
    gc.collect()
    assert not any(each() for each in watched)
    begun = threading.Event()
    withdraw = loop.begin(begun.set)
    release.set()
    assert begun.wait(PATIENCE_SECONDS)
    assert not withdraw()
    coroutines.close(PATIENCE_SECONDS)
    assert not any(each.is_alive() for each in coroutines.threads)


def test_each_pack_has_a_loop_from_its_first_coroutine_on() -> None:
    coroutines = Coroutines(Clock(), Counters(), ThreadWatch())
    assert coroutines.threads == []
    first = coroutines.loop_of("demo")
    assert coroutines.loop_of("demo") is first
    assert coroutines.loop_of("other") is not first
    assert [each.name for each in coroutines.threads] == [
        "coroutines of demo",
        "coroutines of other",
    ]
    assert coroutines.problem_of("third") == ""
    coroutines.close(PATIENCE_SECONDS)


def test_the_stop_does_not_wait_for_each_blocked_loop_in_turn(release: threading.Event) -> None:
    """The time is one for all: a clock that says it is over leaves the second nothing."""
    seconds = iter([0.0, 0.0, 5.0])
    coroutines = Coroutines(Clock(monotonic=lambda: next(seconds, 5.0)), Counters(), ThreadWatch())
    for pack_key in ("demo", "other"):
        entered = threading.Event()

        def block(entered: threading.Event = entered) -> None:
            entered.set()
            release.wait(PATIENCE_SECONDS)

        coroutines.loop_of(pack_key).begin(block)
        assert entered.wait(PATIENCE_SECONDS)
    coroutines.close(0.01)
    assert all(each.is_alive() for each in coroutines.threads)
    release.set()
    for each in coroutines.threads:
        each.join(PATIENCE_SECONDS)
    assert not any(each.is_alive() for each in coroutines.threads)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="asyncio's policies are on their way out")
def test_a_policy_that_a_plugin_sets_is_not_for_the_coroutines_of_others(
    flyte_run_host: RunHost, flyte_server: FlyteServer, release: threading.Event
) -> None:
    class OwnPolicy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            raise RuntimeError("only for me")

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(OwnPolicy())
    try:
        flyte_run_host(plugins(release))
        assert flyte_server.run("Other", "quick").event == "Ok"
    finally:
        asyncio.set_event_loop_policy(before)
