"""Whatever a handler does: one outcome, in time, that flyte and its flows can read."""

import asyncio
import contextlib
import contextvars
import functools
import gc
import itertools
import json
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host import Action, Command, Event, EventDef, fatal_event
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.log_fields import CURRENT
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.outcome import Outcome, Outcomes
from flyte_host.pipeline.handlers.run_once import run_once
from flyte_host.plugins.bound_command import BoundCommand, bind
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch

DONE = EventDef("Done")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Watched:
    """One call in a thread of its own, as a worker makes it."""

    def __init__(self, call: HandlerCall) -> None:
        self._call = call
        self._ended = threading.Event()
        call.end.when_set(lambda _: self._ended.set())
        self._thread = threading.Thread(target=call.start, daemon=True)
        self._thread.start()

    def outcome(self) -> Outcome:
        return self._call.outcome.wait(PATIENCE_SECONDS)

    def over(self) -> Outcome:
        """The outcome, after the handler ended."""
        assert self._ended.wait(PATIENCE_SECONDS)
        return self.outcome()

    @property
    def ended(self) -> bool:
        return self._call.end.is_set

    @property
    def overran(self) -> bool:
        return self._call.overrun.is_set

    @property
    def has_outcome(self) -> bool:
        return self._call.outcome.is_set


def tools_of(scrubber: Scrubber, clock: Clock | None = None) -> HandlerTools:
    made = HandlerTools(scrubber, clock or Clock(), Counters(), ThreadWatch())
    made.start()
    return made


@pytest.fixture
def scrubber() -> Scrubber:
    return Scrubber()


@pytest.fixture
def tools(scrubber: Scrubber) -> Iterator[HandlerTools]:
    before = set(threading.enumerate())
    made = tools_of(scrubber)
    yield made
    made.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
    assert set(threading.enumerate()) <= before, "no thread is left"


def start(
    tools: HandlerTools,
    handler: Any,
    document: bytes = b"null",
    timeout_seconds: float | None = None,
) -> Watched:
    bound = bind(Command("run", handler, [DONE], timeout_seconds=timeout_seconds), "demo")
    now = datetime.now(UTC)
    deadline = None if timeout_seconds is None else now + timedelta(seconds=timeout_seconds)
    action = Action("id-1", "run", "Demo", now, 1, deadline)
    return Watched(call_of(bound, action, tools, document))


def call_of(
    bound: BoundCommand, action: Action, tools: HandlerTools, document: bytes = b"1"
) -> HandlerCall:
    about = about_action(action.pack, action.command, action.id, None, action.trace)
    return HandlerCall(bound, document, action, action.pack, tools=tools, about=about)


def event_of(outcome: Outcome) -> tuple[str, Any]:
    """The event as flyte reads it."""
    document = json.loads(outcome.body, parse_constant=pytest.fail)
    assert document.keys() == {"event", "payload", "createdAt"}
    assert datetime.fromisoformat(document["createdAt"]).tzinfo is not None
    assert document["event"] == outcome.event_name
    return document["event"], document["payload"]


def fatal_of(outcome: Outcome) -> str:
    """The text of a FATAL that the host made."""
    name, payload = event_of(outcome)
    assert (name, payload) == ("FATAL", outcome.problem)
    assert isinstance(payload, str)
    return payload


def raising(error: BaseException) -> Callable[[Any], Event]:
    def handler(input: Any) -> Event:
        raise error

    return handler


def coroutine_of(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def handler(input: Any) -> Any:
        await asyncio.sleep(0)
        return function(input)

    return handler


def hidden_coroutine_of(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A sync handler that returns a coroutine, as decorators make them."""
    inner = coroutine_of(function)

    def handler(input: Any) -> Any:
        return inner(input)

    return handler


def same(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return function


ways = pytest.mark.parametrize(
    "way", [same, coroutine_of, hidden_coroutine_of], ids=["sync", "async", "hidden async"]
)


# --- what handlers return ---------------------------------------------------------------------


class AsyncObject:
    async def __call__(self, input: int, action: Action) -> Event:
        return DONE([input, action.id])


async def with_prefix(prefix: str, input: int) -> Event:
    return DONE([prefix, input])


def in_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        return await function(*args)

    return wrapper


def in_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@in_async
async def decorated(input: int) -> Event:
    return DONE([input])


@in_sync
async def decorated_sync(input: int) -> Event:
    return DONE([input])


class Future:
    """Awaitable, but no coroutine."""

    def __await__(self) -> Generator[Any, Any, Event]:
        yield from ()
        return DONE("awaited")


@pytest.mark.parametrize(
    ("handler", "payload"),
    [
        (DONE, 1),
        (AsyncObject(), [1, "id-1"]),
        (functools.partial(with_prefix, "p"), ["p", 1]),
        (decorated, [1]),
        (decorated_sync, [1]),
        (lambda value: Future(), "awaited"),
    ],
    ids=itertools.count(),
)
def test_every_kind_of_handler_runs(tools: HandlerTools, handler: Any, payload: Any) -> None:
    outcome = start(tools, handler, b"1").over()
    assert event_of(outcome) == ("Done", payload)
    assert (outcome.problem, outcome.timed_out) == ("", False)


class Color(Enum):
    RED = "red"


@dataclass
class Row:
    id: UUID
    color: Color
    at: datetime


@ways
def test_payloads_are_whatever_becomes_json(tools: HandlerTools, way: Any) -> None:
    row = Row(UUID(int=1), Color.RED, NOW)
    outcome = start(tools, way(lambda _: DONE({"rows": [row], "none": None}))).over()
    assert event_of(outcome) == (
        "Done",
        {
            "rows": [
                {
                    "id": "00000000-0000-0000-0000-000000000001",
                    "color": "red",
                    "at": "2026-01-02T03:04:05Z",
                }
            ],
            "none": None,
        },
    )


def test_a_fatal_event_of_the_handler_is_its_own(tools: HandlerTools, scrubber: Scrubber) -> None:
    scrubber.learn("canary-secret")
    outcome = start(tools, lambda _: fatal_event({"code": 5})).over()
    assert event_of(outcome) == ("FATAL", {"code": 5})
    assert outcome.problem == ""


def test_the_event_is_created_at_the_time_of_its_clock(scrubber: Scrubber) -> None:
    outcome = Outcomes(scrubber, Clock(now=lambda: NOW)).of("run", DONE(1))
    assert json.loads(outcome.body)["createdAt"] == "2026-01-02T03:04:05Z"


RECURSION: list[Any] = []
RECURSION.append(RECURSION)


async def stream(input: Any) -> Any:
    yield DONE(input)


@ways
@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (None, "command 'run' returned nothing, expected an Event"),
        ({1, 2}, "command 'run' returned a set, expected an Event"),
        ("Done", "command 'run' returned a str, expected an Event"),
        (
            Event,
            (
                "command 'run' returned the class Event, expected an Event: "
                "return one such as MY_EVENT()"
            ),
        ),
        (DONE, "command 'run' returned the EventDef Done, expected an Event: call it to make one"),
        (
            Event("Done"),  # type: ignore[arg-type]  # it is the point
            "command 'run' returned an Event whose event_def is a str, expected an EventDef",
        ),
        (
            Event(None),  # type: ignore[arg-type]  # it is the point
            "command 'run' returned an Event whose event_def is nothing, expected an EventDef",
        ),
        (
            EventDef(5)(),  # type: ignore[arg-type]  # it is the point
            "command 'run' returned an Event whose name is 5, expected a non-empty string",
        ),
        (
            EventDef("")(),
            "command 'run' returned an Event whose name is '', expected a non-empty string",
        ),
        (
            DONE(object()),
            (
                "command 'run': payload of Done is not valid JSON: "
                "it is an object, which JSON cannot hold; "
                "expected a dict, list, str, number, bool or None"
            ),
        ),
        (
            DONE(float("nan")),
            (
                "command 'run': payload of Done is not valid JSON: "
                "it is a number that is not finite (nan or inf)"
            ),
        ),
        (
            DONE({"a": ["\udcff"]}),
            (
                "command 'run': payload of Done is not valid JSON: "
                "payload.a[0] has text that is not Unicode: '\\udcff'"
            ),
        ),
        (
            EventDef("D\udcff")(1),
            (
                "command 'run': event D\\udcff is not valid JSON: "
                "event.event has text that is not Unicode: '\\udcff'"
            ),
        ),
        (
            DONE(RECURSION),
            (
                "command 'run': payload of Done is not valid JSON: "
                "it is nested too deeply, or holds itself"
            ),
        ),
    ],
    ids=itertools.count(),
)
def test_a_return_that_is_nonsense(tools: HandlerTools, way: Any, returned: Any, text: str) -> None:
    assert fatal_of(start(tools, way(lambda _: returned)).over()) == text


def test_a_coroutine_that_nobody_awaited(tools: HandlerTools) -> None:
    async def later() -> Event:
        return DONE()

    async def handler(_: Any) -> Any:
        return later()

    assert fatal_of(start(tools, handler).over()) == (
        "command 'run' returned a coroutine, expected an Event: await it"
    )


def test_a_handler_that_returns_what_yields(tools: HandlerTools) -> None:
    """One that yields itself is refused when its plugin is loaded."""
    assert fatal_of(start(tools, lambda each: stream(each)).over()) == (  # noqa: PLW0108
        "command 'run' returned an async generator, expected an Event: "
        "return one instead of yielding it"
    )


def test_an_input_that_does_not_fit_never_reaches_the_handler(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def handler(input: int) -> Event:
        calls.append(input)
        return DONE(input)

    async def other(input: int) -> Event:
        return handler(input)

    for each in (handler, other):
        outcome = start(tools, each, b'"4"').over()
        assert fatal_of(outcome) == "command 'run': input: expected int, got str"
        assert fatal_of(start(tools, each, b"").over()) == (
            "command 'run': input: found invalid JSON (Input data was truncated)"
        )
    assert calls == []
    assert caplog.records == []


# --- what handlers raise ----------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Exiting(Exception):
    def __str__(self) -> str:
        raise SystemExit(5)


class OwnBase(BaseException):
    pass


RAISED = [
    (ValueError("no such issue"), "raised ValueError: no such issue"),
    (ValueError(), "raised ValueError"),
    (ValueError("\udcff"), "raised ValueError: \\udcff"),
    (Unprintable(), "raised Unprintable: (its message cannot be shown)"),
    (Exiting(), "raised Exiting: (its message cannot be shown)"),
    (SystemExit(3), "called sys.exit(3)"),
    (KeyboardInterrupt(), "raised KeyboardInterrupt"),
    (OwnBase("x"), "raised OwnBase: x"),
    (GeneratorExit(), "raised GeneratorExit"),
    (asyncio.CancelledError(), "raised CancelledError"),
    (ExceptionGroup("two", [ValueError(), KeyError()]), "raised ExceptionGroup: two (2 sub-excep"),
]


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """What pytest reports of a log has to be Unicode, and not every text here is."""
    log = logging.getLogger("flyte_host.pipeline.handlers.handler_call")
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)


@ways
@pytest.mark.parametrize(("error", "text"), RAISED, ids=itertools.count())
def test_what_is_raised_ends_the_action(
    tools: HandlerTools, way: Any, error: BaseException, text: str
) -> None:
    with unlogged():
        outcome = start(tools, way(raising(error))).over()
    assert fatal_of(outcome).startswith(f"command 'run' {text}")
    after = start(tools, coroutine_of(DONE)).over()
    assert event_of(after) == ("Done", None)


def test_what_is_raised_is_logged_with_the_frames_of_the_plugin(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    start(tools, raising(ValueError("no such issue"))).over()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "command run failed: ValueError: no such issue"
    fields = {name: record.__dict__[name] for name in ("pack", "command", "action")}
    assert fields == {"pack": "Demo", "command": "run", "action": "id-1"}
    assert record.exc_info is not None
    trace = record.exc_info[2]
    assert trace is not None
    assert trace.tb_frame.f_code.co_filename == __file__


@ways
def test_what_a_handler_logs_is_about_its_action(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture, way: Callable[..., Any]
) -> None:
    found: list[Any] = []

    def handler(input: Any) -> Event:
        found.append(CURRENT.get())
        return DONE()

    start(tools, way(handler)).over()
    assert found == [{"pack": "Demo", "command": "run", "action": "id-1"}]
    assert CURRENT.get() == {}


@ways
def test_secrets_are_scrubbed_from_the_fatals_of_the_host(
    tools: HandlerTools, scrubber: Scrubber, way: Any
) -> None:
    scrubber.learn("canary-secret")
    outcome = start(tools, way(raising(OSError("login with canary-secret failed")))).over()
    assert fatal_of(outcome) == "command 'run' raised OSError: login with *** failed"
    assert b"canary" not in outcome.body


def test_a_task_of_a_handler_that_exits_does_not_end_the_loop(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    async def exit_() -> None:
        sys.exit(8)

    async def handler(input: Any) -> Event:
        task = asyncio.create_task(exit_())
        try:
            await task
        except SystemExit as error:
            return DONE(error.code)
        raise AssertionError("the task has to exit")

    assert event_of(start(tools, handler).over()) == ("Done", 8)
    assert event_of(start(tools, coroutine_of(DONE)).over()) == ("Done", None)
    assert [each.getMessage() for each in caplog.records] == [
        "a task of a handler called sys.exit(8)"
    ]
    assert all(thread.is_alive() for thread in threads_of(tools))


def threads_of(tools: HandlerTools) -> list[threading.Thread]:
    return [tools.deadlines.thread, *tools.coroutines.threads]


# --- timeouts ---------------------------------------------------------------------------------

LIMIT_SECONDS = 0.5
"""Enough for every handler to begin, on a busy machine too."""
TOO_LATE = "command 'run' did not finish within 0.5 s"
DROPPED = "dropped the late Done of run: it had timed out"


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_sync_handler_past_its_time_out(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    def handler(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return DONE("late")

    watched = start(tools, handler, timeout_seconds=LIMIT_SECONDS)
    outcome = watched.outcome()
    assert fatal_of(outcome) == TOO_LATE
    assert outcome.timed_out
    assert not watched.ended
    release.set()
    assert watched.over() is outcome
    assert messages(caplog) == [DROPPED]


def test_a_late_exception_is_dropped_like_a_late_event(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    def handler(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        raise ValueError("late")

    watched = start(tools, handler, timeout_seconds=LIMIT_SECONDS)
    assert fatal_of(watched.outcome()) == TOO_LATE
    release.set()
    watched.over()
    assert messages(caplog) == ["dropped the late FATAL of run: it had timed out"]


def test_an_async_handler_past_its_time_out_is_cancelled(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    cancelled = threading.Event()

    async def handler(input: Any) -> Event:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody sets the future")

    outcome = start(tools, handler, timeout_seconds=3.0).over()
    assert fatal_of(outcome) == "command 'run' did not finish within 3 s"
    assert outcome.timed_out
    assert cancelled.wait(PATIENCE_SECONDS)
    wait_until(lambda: messages(caplog), "its end is told")
    assert messages(caplog) == ["dropped the late FATAL of run: it had timed out"]


def test_an_async_handler_that_swallows_its_cancellation(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(input: Any) -> Event:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return DONE("I go on")
        raise AssertionError("nobody sets the future")

    watched = start(tools, handler, timeout_seconds=3.0)
    assert fatal_of(watched.over()) == "command 'run' did not finish within 3 s"
    assert messages(caplog) == [DROPPED]


def test_an_async_handler_that_blocks_the_loop_and_those_behind_it(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    entered, release = threading.Event(), threading.Event()
    calls: list[str] = []

    async def blocking(input: Any) -> Event:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return DONE("late")

    async def behind(input: Any) -> Event:
        calls.append("ran")
        return DONE("too late")

    first = start(tools, blocking, timeout_seconds=LIMIT_SECONDS)
    assert entered.wait(PATIENCE_SECONDS)
    second = start(tools, behind, timeout_seconds=LIMIT_SECONDS)
    third = start(tools, coroutine_of(DONE), timeout_seconds=PATIENCE_SECONDS)
    assert fatal_of(first.outcome()) == TOO_LATE
    assert fatal_of(second.outcome()) == TOO_LATE
    assert not first.ended
    second.over()
    assert first.overran
    assert not second.overran, "it only waited for its turn"
    release.set()
    first.over()
    assert event_of(third.over()) == ("Done", None)
    assert calls == [], "an action that flyte has as FATAL must not begin"
    assert messages(caplog) == [DROPPED]


def test_a_hidden_coroutine_past_its_time_out_is_cancelled(
    tools: HandlerTools, caplog: pytest.LogCaptureFixture
) -> None:
    cancelled = threading.Event()

    async def slow() -> Event:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()
        raise AssertionError("nobody sets the future")

    watched = start(tools, lambda _: slow(), timeout_seconds=LIMIT_SECONDS)
    assert fatal_of(watched.over()) == TOO_LATE
    assert cancelled.is_set()
    assert messages(caplog) == ["dropped the late FATAL of run: it had timed out"]


def test_a_hidden_coroutine_behind_one_that_blocks_the_loop_never_begins(
    tools: HandlerTools,
) -> None:
    entered, release = threading.Event(), threading.Event()

    async def blocking(input: Any) -> Event:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return DONE()

    def hiding(input: Any) -> Any:
        return coroutine_of(DONE)(input)

    first = start(tools, blocking)
    assert entered.wait(PATIENCE_SECONDS)
    behind = start(tools, hiding, timeout_seconds=LIMIT_SECONDS)
    assert fatal_of(behind.over()) == TOO_LATE
    assert not behind.overran
    release.set()
    first.over()


@pytest.mark.parametrize("blocks", [True, False], ids=["blocks the loop", "awaits"])
def test_a_coroutine_that_goes_on_when_it_is_cancelled_overruns(
    tools: HandlerTools, blocks: bool
) -> None:
    release = threading.Event()

    async def handler(input: Any) -> Event:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if blocks:
                release.wait(PATIENCE_SECONDS)
            else:
                await asyncio.to_thread(release.wait, PATIENCE_SECONDS)
        return DONE()

    watched = start(tools, handler, timeout_seconds=LIMIT_SECONDS)
    wait_until(lambda: watched.overran, "it is known")
    assert not watched.ended
    release.set()
    watched.over()


def test_a_coroutine_that_another_one_blocks_at_its_timeout_does_not_overrun(
    tools: HandlerTools,
) -> None:
    waits, entered, release = threading.Event(), threading.Event(), threading.Event()

    async def waiting(input: Any) -> Event:
        waits.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody sets the future")

    async def blocking(input: Any) -> Event:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return DONE()

    innocent = start(tools, waiting, timeout_seconds=2 * LIMIT_SECONDS)
    assert waits.wait(PATIENCE_SECONDS)
    guilty = start(tools, blocking, timeout_seconds=3 * LIMIT_SECONDS)
    assert entered.wait(PATIENCE_SECONDS)
    assert fatal_of(innocent.outcome()) == TOO_LATE.replace("0.5", "1")
    assert guilty.outcome().timed_out
    wait_until(lambda: guilty.overran, "the guilty one is known")
    assert not innocent.overran
    release.set()
    innocent.over()
    guilty.over()
    assert not innocent.overran


@ways
def test_a_handler_in_time_has_no_time_out_after_it(tools: HandlerTools, way: Any) -> None:
    watched = start(tools, way(DONE), timeout_seconds=1)
    assert event_of(watched.over()) == ("Done", None)
    behind = start(tools, lambda _: threading.Event().wait(1.2) or DONE(), timeout_seconds=1.1)
    assert behind.outcome().timed_out
    assert event_of(watched.outcome()) == ("Done", None)
    behind.over()


def test_a_deadline_that_has_passed_already(tools: HandlerTools) -> None:
    bound = bind(Command("run", coroutine_of(DONE), [], timeout_seconds=1), "demo")
    release, entered = threading.Event(), threading.Event()

    async def blocking(input: Any) -> Event:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return DONE()

    first = start(tools, blocking)
    assert entered.wait(PATIENCE_SECONDS)
    past = datetime.now(UTC) - timedelta(seconds=5)
    watched = Watched(call_of(bound, Action("id", "run", "Demo", past, 1, past), tools))
    assert fatal_of(watched.outcome()) == "command 'run' did not finish within 1 s"
    release.set()
    first.over()
    watched.over()


# --- the tools itself ------------------------------------------------------------------------


def test_two_hundred_calls_at_once(tools: HandlerTools) -> None:
    meeting = threading.Barrier(100)

    def handler(input: int) -> Event:
        meeting.wait(PATIENCE_SECONDS)
        return DONE(input)

    arrived: list[int] = []
    everybody: list[asyncio.Event] = []

    async def other(input: int) -> Event:
        if not everybody:
            everybody.append(asyncio.Event())
        arrived.append(input)
        if len(arrived) == 100:
            everybody[0].set()
        await everybody[0].wait()
        return DONE(input)

    calls = [start(tools, each, b"%d" % n, 15) for n in range(100) for each in (handler, other)]
    payloads = [event_of(call.over())[1] for call in calls]
    assert payloads == [number for number in range(100) for _ in (handler, other)]


def test_the_loop_is_started_when_the_first_coroutine_needs_it(tools: HandlerTools) -> None:
    [timer] = threads_of(tools)
    start(tools, DONE).over()
    assert threads_of(tools) == [timer]
    for _ in range(2):
        start(tools, coroutine_of(DONE)).over()
        names = [thread.name for thread in threads_of(tools)]
        assert names == ["deadlines", "coroutines of Demo"]


def test_close_leaves_a_blocked_loop_to_the_end_of_the_process(scrubber: Scrubber) -> None:
    tools = tools_of(scrubber)
    entered, release = threading.Event(), threading.Event()

    async def blocking(input: Any) -> Event:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return DONE()

    watched = start(tools, blocking)
    assert entered.wait(PATIENCE_SECONDS)
    thread = threads_of(tools)[1]
    tools.close(wait_seconds=0.01)
    assert thread.is_alive()
    release.set()
    watched.over()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_a_coroutine_that_close_leaves_over_has_no_outcome(
    scrubber: Scrubber, caplog: pytest.LogCaptureFixture
) -> None:
    tools = tools_of(scrubber)
    entered = threading.Event()

    async def waiting(input: Any) -> Event:
        entered.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody sets the future")

    watched = start(tools, waiting)
    assert entered.wait(PATIENCE_SECONDS)
    tools.close()
    tools.close()  # is allowed
    gc.collect()
    assert messages(caplog) == []
    assert not watched.has_outcome, "a FATAL now would keep an idempotent command from its rerun"


def test_a_coroutine_that_swallows_its_end_does_not_run_on_when_it_is_left_over(
    scrubber: Scrubber,
) -> None:
    """Python closes what it collects: this one would loop forever in the collecting thread."""
    entered = threading.Event()

    async def swallowing(input: Any) -> Event:
        entered.set()
        while True:
            with contextlib.suppress(BaseException):
                await asyncio.sleep(3600)

    tools = tools_of(scrubber)
    start(tools, swallowing)
    assert entered.wait(PATIENCE_SECONDS)
    tools.close()
    del tools
    collected = threading.Thread(target=gc.collect, daemon=True)
    collected.start()
    collected.join(PATIENCE_SECONDS)
    assert not collected.is_alive()


def test_a_closed_runner_ends_a_coroutine_with_a_fatal(scrubber: Scrubber) -> None:
    tools = tools_of(scrubber)
    start(tools, coroutine_of(DONE)).over()
    tools.close()
    outcome = start(tools, coroutine_of(DONE), timeout_seconds=5).over()
    assert fatal_of(outcome) == "the host could not run the command: Event loop is closed"


def test_a_coroutine_for_which_there_is_not_a_thread_ends_as_a_fatal(tools: HandlerTools) -> None:
    bound = bind(Command("run", coroutine_of(DONE), [], timeout_seconds=5), "demo")
    call = call_of(bound, Action("id", "run", "Demo", NOW, 1), tools)
    usual = threading.stack_size(2**46)
    try:
        call.start()
    finally:
        threading.stack_size(usual)
    problem = "the host could not run the command: can't start new thread"
    assert fatal_of(call.outcome.wait(0)) == problem
    assert call.end.is_set
    assert event_of(start(tools, coroutine_of(DONE)).over()) == ("Done", None)


def test_handlers_in_one_thread_share_no_context(tools: HandlerTools) -> None:
    """A worker runs one handler after the other, as if each had a thread of its own."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("of a plugin", default="")

    def handler(input: Any) -> Event:
        found = variable.get()
        variable.set("left over")
        return DONE(found)

    bound = bind(Command("run", handler, []), "demo")
    for _ in range(2):
        call = call_of(bound, Action("id", "run", "Demo", NOW, 1), tools)
        call.start()
        assert event_of(call.outcome.wait(0)) == ("Done", "")


@pytest.mark.parametrize(
    ("handler", "seconds", "event"),
    [
        (DONE, PATIENCE_SECONDS, ("Done", [1])),
        (coroutine_of(DONE), PATIENCE_SECONDS, ("Done", [1])),
        (lambda value: threading.Event().wait(2), LIMIT_SECONDS, ("FATAL", TOO_LATE)),
    ],
    ids=["sync", "async", "slow"],
)
def test_run_once(scrubber: Scrubber, handler: Any, seconds: float, event: tuple[str, Any]) -> None:
    bound = bind(Command("run", handler, [], timeout_seconds=seconds), "demo")
    assert event_of(run_once("Demo", bound, b"[1]", scrubber)) == event


def test_run_once_without_a_time_out_tells_the_handler_so(scrubber: Scrubber) -> None:
    def handler(input: Any, action: Action) -> Event:
        return DONE([action.id, action.command, action.pack, action.attempt, action.deadline])

    bound = bind(Command("run", handler, []), "demo")
    assert event_of(run_once("Demo", bound, b"1", scrubber)) == (
        "Done",
        ["local", "run", "Demo", 1, None],
    )


# --- the property -----------------------------------------------------------------------------

surrogates = st.text(st.characters(min_codepoint=0xD7FE, max_codepoint=0xE001), max_size=3)
texts = st.one_of(st.text(max_size=5), surrogates)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=5),
    st.datetimes(),
    st.sampled_from([object(), {1}, RECURSION, NOW, Color.RED, DONE, Row, 1j, b"", ..., len]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(texts, st.integers(), st.none()), inner, max_size=3),
        st.tuples(inner),
    ),
    max_leaves=5,
)
events = st.one_of(
    st.builds(Event, st.builds(EventDef, texts), values),
    st.builds(Event, st.builds(EventDef, values), values),
    st.builds(Event, values, values),
)
errors = st.one_of(
    st.sampled_from([error for error, _ in RAISED] + [StopIteration(), StopAsyncIteration()]),
    st.builds(Exception, values, values),
    st.builds(ValueError, texts),
    st.builds(SystemExit, values),
)
behaviours = st.one_of(
    st.builds(lambda value: lambda _: value, st.one_of(events, values)),
    st.builds(raising, errors),
)


@pytest.fixture(scope="module")
def shared_tools() -> Iterator[HandlerTools]:
    tools = tools_of(Scrubber())
    yield tools
    tools.close()


@settings(max_examples=100)
@given(
    behaviours,
    st.sampled_from([same, coroutine_of, hidden_coroutine_of]),
    st.sampled_from([None, 10.0]),
)
def test_whatever_a_handler_does_one_readable_outcome_comes(
    shared_tools: HandlerTools, behaviour: Any, way: Any, timeout_seconds: float | None
) -> None:
    with unlogged():
        outcome = start(shared_tools, way(behaviour), timeout_seconds=timeout_seconds).over()
    name, payload = event_of(outcome)
    assert isinstance(name, str)
    assert name
    assert not outcome.timed_out
    if outcome.problem:
        assert (name, payload) == ("FATAL", outcome.problem)


def test_an_endless_error_text_is_cut(tools: HandlerTools) -> None:
    outcome = tools.outcomes.fatal("x" * 20_000)
    assert outcome.problem == "x" * 10_000 + " …"


def test_a_payload_that_flyte_cannot_keep_is_a_fatal_that_says_so(scrubber: Scrubber) -> None:
    def huge(input: Any) -> Event:
        return EventDef("Huge")("x" * 15_000_001)

    outcome = run_once("Demo", bind(Command("huge", huge, []), "demo"), b"null", scrubber)
    assert outcome.problem == (
        "command 'huge': payload of Huge has 15,000,003 bytes, flyte keeps at most 15,000,000; "
        "send a reference to it instead"
    )
