"""Blockers of the loop and stuck handlers are named, with file and line."""

import asyncio
import functools
import json
import logging
import re
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Command, Event
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.model import Action
from flyte_host.pipeline.handlers.caller import home_of
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.loop_watch import LoopWatch
from flyte_host.pipeline.handlers.loop_watchdog import LoopWatchdog
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.plugins.bound_command import bind
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.host_parts import OK, PackPlugin

HERE = r"\(at handlers/test_loop_watchdog.py:\d+: "
STANDS = r"release\.wait\(PATIENCE_SECONDS\)\)"
FREEZING = re.compile(
    r"the coroutines of pack [Dd]emo have been blocked for \d+\.\d s by Demo:freeze "
    + HERE
    + STANDS
)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


class Calls:
    """What calls share, and the outcomes of the calls."""

    def __init__(self) -> None:
        self.tools = HandlerTools(Scrubber(), Clock(), Counters(), ThreadWatch())
        self.tools.start()
        self.outcomes: list[Outcome] = []
        self.over = threading.Semaphore(0)

    def start(
        self, handler: Callable[..., Any], name: str = "freeze", seconds: float | None = None
    ) -> Callable[[], str]:
        bound = bind(Command(name, handler, [OK], timeout_seconds=seconds), "demo")
        now = datetime.now(UTC)
        deadline = None if seconds is None else now + timedelta(seconds=seconds)
        action = Action("a", name, "Demo", now, 1, deadline)
        call = HandlerCall(bound, b"null", action, "Demo", tools=self.tools, about={})
        call.outcome.when_set(self.outcomes.append)
        call.end.when_set(lambda _: self.over.release())
        threading.Thread(target=call.start, daemon=True).start()
        return call.place

    def wait(self) -> None:
        assert self.over.acquire(timeout=PATIENCE_SECONDS)


@pytest.fixture
def calls(release: threading.Event) -> Iterator[Calls]:
    made = Calls()
    yield made
    release.set()
    made.tools.close()


def problem(calls: Calls) -> str:
    return "; ".join(calls.tools.coroutines.problems)


def told(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    return [each for each in caplog.messages if part in each]


def test_one_who_blocks_the_loop_is_named_until_it_turns(
    calls: Calls, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def freeze(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    assert calls.tools.coroutines.problems == []
    calls.start(freeze)
    wait_until(lambda: FREEZING.fullmatch(problem(calls)), "the blockage is known")
    wait_until(lambda: told(caplog, "have been blocked"), "it is told")
    assert FREEZING.fullmatch(told(caplog, "have been blocked")[0])
    wait_until(lambda: len(told(caplog, "have been blocked")) == 2, "it is told again, later")
    release.set()
    calls.wait()
    wait_until(
        lambda: told(caplog, "coroutines of pack Demo are running again after "), "the end is told"
    )
    assert calls.tools.coroutines.problems == []
    length = float(told(caplog, "running again")[0].split()[-2])
    assert length >= 3


def test_a_callback_of_a_task_of_a_handler_is_still_the_handlers(
    calls: Calls, release: threading.Event
) -> None:
    async def inner() -> None:
        asyncio.get_running_loop().call_soon(release.wait, PATIENCE_SECONDS)
        asyncio.get_running_loop().call_soon(lambda: release.wait(PATIENCE_SECONDS))

    async def outer(input: Any) -> Event:
        await asyncio.gather(asyncio.create_task(inner()), asyncio.sleep(0.01))
        return OK()

    calls.start(outer, "outer")
    wait_until(lambda: "by Demo:outer (at " in problem(calls), "the command is known")


def test_a_coroutine_that_a_plain_handler_returns_is_named_too(
    calls: Calls, release: threading.Event
) -> None:
    async def freeze() -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    calls.start(lambda document: freeze())
    wait_until(lambda: FREEZING.fullmatch(problem(calls)), "the blockage is known")


def test_a_callback_of_an_unknown_handler_is_told_by_its_place(release: threading.Event) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    watch = LoopWatch("demo", loop, thread, Clock(), Counters(), blocked_seconds=0.05)
    watchdog = LoopWatchdog(ThreadWatch(), look_seconds=0.02)
    watchdog.watch(watch)
    watchdog.start()
    loop.call_soon_threadsafe(lambda: release.wait(PATIENCE_SECONDS))
    words = (
        r"the coroutines of pack demo have been blocked for \d+\.\d s "
        r"by a callback of an unknown handler " + HERE
    )
    wait_until(lambda: re.match(words, watch.problem), "the blockage is known")
    watchdog.stop()
    watchdog.thread.join(PATIENCE_SECONDS)
    assert not watchdog.thread.is_alive()
    release.set()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_SECONDS)
    loop.close()


def test_there_is_not_a_watchdog_without_a_loop_and_none_after_it() -> None:
    calls = Calls()

    def watchdogs() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name == "loop-watchdog"}

    before = watchdogs()
    calls.start(lambda document: OK())
    calls.wait()
    assert watchdogs() == before

    async def quick(input: Any) -> Event:
        return OK()

    calls.start(quick)
    calls.wait()
    [mine] = watchdogs() - before
    calls.tools.close()
    mine.join(PATIENCE_SECONDS)
    assert not mine.is_alive()


def test_a_loop_that_somebody_closed_does_not_keep_the_others_from_being_watched(
    release: threading.Event,
) -> None:
    closed, loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    closed.close()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    watchdog, clock = LoopWatchdog(ThreadWatch(), look_seconds=0.02), Clock()
    watchdog.watch(LoopWatch("gone", closed, threading.current_thread(), clock, Counters()))
    watch = LoopWatch("demo", loop, thread, clock, Counters(), blocked_seconds=0.05)
    watchdog.watch(watch)
    watchdog.start()
    loop.call_soon_threadsafe(lambda: release.wait(PATIENCE_SECONDS))
    wait_until(lambda: watch.problem, "the blockage is known")
    release.set()
    watchdog.stop()
    watchdog.thread.join(PATIENCE_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_SECONDS)
    loop.close()


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often another thread wakes it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def _write_to_self(self) -> None:
        self.calls += 1
        super()._write_to_self()  # type: ignore[misc]  # typeshed does not know it


def test_a_loop_that_waits_for_work_is_not_woken(release: threading.Event) -> None:
    loop = CountingLoop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    watch = LoopWatch("demo", loop, thread, Clock(), Counters())

    def frame() -> Any:
        return sys._current_frames()[thread.ident or 0]

    wait_until(lambda: frame().f_code.co_name == "select", "the loop waits")
    watch.look(frame())
    assert loop.calls == 0

    def blocks() -> None:
        with selectors.DefaultSelector() as selector:  # as the loop itself, but in a callback
            reads, writes = socket.socketpair()
            with reads, writes:
                selector.register(reads, selectors.EVENT_READ)
                entered.set()
                selector.select(PATIENCE_SECONDS if not release.is_set() else 0)

    entered = threading.Event()
    loop.call_soon_threadsafe(blocks)
    assert entered.wait(PATIENCE_SECONDS)
    wait_until(lambda: frame().f_code.co_name == "select", "the callback waits")
    watch.look(frame())
    assert loop.calls == 2


def test_the_place_of_a_plain_handler(calls: Calls, release: threading.Event) -> None:
    arrived = threading.Event()

    def stuck(input: Any) -> Event:
        arrived.set()
        release.wait(PATIENCE_SECONDS)
        return OK()

    place = calls.start(stuck)
    assert arrived.wait(PATIENCE_SECONDS)
    wait_until(
        lambda: re.search(HERE + STANDS, place()),
        "the place is known",
    )
    release.set()
    calls.wait()
    wait_until(lambda: place() == "", "a thread that has ended has no place")


@pytest.mark.parametrize("plain", [False, True])
def test_the_place_of_a_coroutine(calls: Calls, plain: bool) -> None:
    async def wait_long() -> None:
        await asyncio.sleep(20)

    async def stuck(input: Any) -> Event:
        while True:
            try:
                await wait_long()
            except asyncio.CancelledError:
                return OK()

    def returns_a_coroutine(input: Any) -> Any:
        return stuck(input)

    place = calls.start(returns_a_coroutine if plain else stuck)
    words = HERE + r"await asyncio\.sleep\(20\)\)"
    wait_until(lambda: re.search(words, place()), "the place is known")


def test_the_place_of_a_coroutine_that_blocks_the_loop(
    calls: Calls, release: threading.Event
) -> None:
    async def freeze(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    place = calls.start(freeze)
    wait_until(
        lambda: re.search(HERE + STANDS, place()),
        "the place is known",
    )


def test_the_warning_at_a_time_out_and_ready_name_the_place(
    flyte_run_host: Callable[..., RunningHost],
    flyte_server: FlyteServer,
    release: threading.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stuck(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    async def freeze(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    commands = [
        Command("stuck", stuck, [OK], timeout_seconds=0.1),
        Command("freeze", freeze, [OK]),
    ]
    host = flyte_run_host({"demo": PackPlugin(*commands)})
    for _ in range(4):
        assert flyte_server.run("Demo", "stuck").event == "FATAL"
    said = told(caplog, "stuck still ran at its timeout")[0]
    assert re.fullmatch(rf"stuck still ran at its timeout {HERE}{STANDS}", said)

    def slots() -> Any:
        return host.page("/ready")[1]["checks"]["slots"]

    past = (
        r"handlers past their timeout: demo: 4 "
        rf"\((stuck {HERE}{STANDS}; ){{3}}…\)"
    )
    wait_until(lambda: re.fullmatch(past, slots()["reason"]), "all are told")
    flyte_server.queue("Demo", "freeze")
    both = rf"{FREEZING.pattern}; {past}"
    wait_until(lambda: re.fullmatch(both, slots()["reason"]), "the blockage is told")
    assert slots()["healthy"] is False
    release.set()
    wait_until(lambda: slots()["healthy"], "all is well again")


class Handler:
    def __call__(self, input: Any) -> Event:
        return OK()


def test_where_a_handlers_code_lies(tmp_path: Path) -> None:
    here = f"{Path(__file__).parent}/"
    assert home_of(test_where_a_handlers_code_lies) == here
    assert home_of(functools.partial(Calls.start)) == here
    assert home_of(Handler()) == here
    assert home_of(print) == ""
    alone = tmp_path / "site-packages" / "alone.py"
    names: dict[str, Any] = {}
    exec(compile("def handler(input): ...", str(alone), "exec"), names)
    assert home_of(names["handler"]) == str(alone)
    exec(compile("def handler(input): ...", "<string>", "exec"), names)
    assert home_of(names["handler"]) == "<string>"
    assert home_of(json.dumps) == f"{Path(json.__file__).parent}/"
    assert sys.version_info >= (3, 11)
