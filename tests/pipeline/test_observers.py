"""Observers run in threads of their own; what they emit is in the journal when emit returns."""

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Event, EventDef
from flyte_host.pipeline.emitter import Emitter
from flyte_host.pipeline.journal import JournalError
from flyte_host.pipeline.observers import Observers
from flyte_host.pipeline.pipeline import Pipeline
from flyte_host.pipeline.tracer import Tracer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import ObservingPlugin, flyte_script
from tests.support.pipeline_rig import PipelineRig
from tests.support.scripted_server import ScriptedServer

TICK = EventDef("Tick")
Emit = Callable[[Event], None]


class Watch:
    """Observers, and a flyte that gets their events."""

    def __init__(self, state: Path, **plugins: ObservingPlugin) -> None:
        self.server = ScriptedServer()
        self.server.__enter__()
        flyte_script(self.server, "Demo", "One", "Two")
        self.rig = PipelineRig(self.server, state, plugins, packs={each: {} for each in plugins})
        parts = self.rig.parts
        self.journal = parts.journal
        emitter = Emitter(parts.journal, parts.deliveries, parts.clock, parts.counters, Tracer())
        self.observers = Observers(
            parts.served.packs.values(), emitter, parts.clock, parts.watch,
            restart_seconds=0.01, restart_cap_seconds=0.03,
        )  # fmt: skip
        self.rig.pipeline = Pipeline(replace(parts, observers=self.observers))
        self._seen = 0

    def start(self) -> None:
        self.rig.start()

    def arrived(self) -> list[tuple[str, str, Any]]:
        """Pack, name and payload of each event that flyte got."""
        posts = [each for each in self.server.requests if each.path.endswith("/events")]
        bodies = [json.loads(each.body) for each in posts]
        return [
            (post.path.split("/")[3], body["event"], body["payload"])
            for post, body in zip(posts, bodies, strict=True)
        ]

    def next_event(self) -> tuple[str, str, Any]:
        self._seen += 1
        return wait_until(lambda: self.arrived()[self._seen - 1 :], "an event")[0]

    def drain(self, seconds: float = PATIENCE_SECONDS) -> list[str]:
        return self.observers.drain(time.monotonic() + seconds)

    def close(self) -> None:
        self.observers.stop()
        assert self.drain() == []
        self.rig.close()
        self.server.__exit__()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []

    def make(observe: Callable[[Emit, threading.Event], None], **more: Any) -> Watch:
        plugin = ObservingPlugin(observe, **more)
        made.append(Watch(tmp_path / "flyte-host.db", demo=plugin))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


Watches = Callable[..., Watch]


def test_events_arrive_in_their_order(watch: Watches) -> None:
    def observe(emit: Emit, stopping: threading.Event) -> None:
        for number in range(50):
            emit(TICK(number))

    made = watch(observe, event_defs=[TICK])
    assert [made.next_event() for _ in range(50)] == [("Demo", "Tick", n) for n in range(50)]


def test_an_event_is_told_with_its_pack(watch: Watches, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.emitter")
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    made = watch(lambda emit, stopping: emit(TICK()), event_defs=[TICK])
    made.next_event()
    assert made.drain() == []
    assert [(each.getMessage(), vars(each)["pack"]) for each in caplog.records] == [
        ("raised Tick", "demo"),
        ("observer of demo returned: it raises no more events", "demo"),
    ]


def test_one_that_returns_is_not_started_again(
    watch: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    starts = []
    made = watch(lambda emit, stopping: starts.append(1))
    wait_until(lambda: starts, "it starts")
    assert made.drain() == []
    assert starts == [1]
    assert caplog.messages == ["observer of demo returned: it raises no more events"]


def test_one_that_returns_when_it_is_asked_to_is_not_told(
    watch: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    made = watch(lambda emit, stopping: stopping.wait(PATIENCE_SECONDS))
    made.observers.stop()
    assert made.drain() == []
    ours = [each for each in caplog.records if each.name == "flyte_host.pipeline.observers"]
    assert ours == []


def attempts(emit: Emit, *events: Any) -> list[str]:
    """What emit says to each of them."""
    told = []
    for event in events:
        try:
            emit(event)
        except (TypeError, ValueError) as error:
            told.append(f"{type(error).__name__}: {error}")
    return told


def test_emit_takes_events_only(watch: Watches) -> None:
    told: list[str] = []
    wrong = ["Tick", None, {"event": "Tick"}, Event("Tick", 1)]  # type: ignore[arg-type]
    made = watch(lambda emit, stopping: told.extend(attempts(emit, *wrong)))
    assert made.drain() == []
    assert told == [
        f"TypeError: emit takes an Event, not {kind}: MY_EVENT(payload)"
        for kind in ("str", "NoneType", "dict", "Event")
    ]
    assert made.arrived() == []


def test_a_payload_that_is_not_json_is_told_to_the_observer(watch: Watches) -> None:
    told: list[str] = []
    made = watch(lambda emit, stopping: told.extend(attempts(emit, TICK(float("nan")))))
    assert made.drain() == []
    assert told == [
        (
            "ValueError: payload of Tick is not valid JSON: "
            "it is a number that is not finite (nan or inf)"
        )
    ]
    assert made.journal.backlog().events == 0


def test_an_undeclared_event_is_sent_and_warned_of_once(
    watch: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(emit: Emit, stopping: threading.Event) -> None:
        for number in range(3):
            emit(EventDef("Secret")(number))
            emit(TICK(number))
        if not made:
            made.append(True)
            raise RuntimeError("again")

    made: list[bool] = []
    running = watch(observe, event_defs=[TICK])
    assert running.drain() == []
    for _ in range(12):
        running.next_event()
    warned = [each for each in caplog.messages if "declare" in each]
    assert warned == ["raised Secret, which it does not declare: flow writers cannot know of it"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(RuntimeError("no wire"), "RuntimeError: no wire"), (SystemExit(3), "called sys.exit(3)")],
)
def test_a_crash_starts_it_again_after_growing_pauses(
    watch: Watches,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    words: str,
) -> None:
    crashes = iter(range(4))

    def observe(emit: Emit, stopping: threading.Event) -> None:
        for _ in crashes:
            raise error
        emit(TICK())

    made = watch(observe, event_defs=[TICK])
    assert made.next_event() == ("Demo", "Tick", None)
    assert [each for each in caplog.messages if "starts again" in each] == [
        f"observer of demo failed: {words}; it starts again in {seconds} s"
        for seconds in ("0.01", "0.02", "0.03", "0.03")
    ]
    crash = caplog.records[0]
    assert crash.exc_info is not None
    assert crash.exc_info[1] is error


def test_an_event_that_cannot_be_written_down_is_the_observers_to_know(watch: Watches) -> None:
    told: list[str] = []
    go_on = threading.Event()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        assert go_on.wait(PATIENCE_SECONDS)
        try:
            emit(TICK())
        except JournalError as error:
            told.append(str(error))

    made = watch(observe, event_defs=[TICK])
    made.journal.close()
    go_on.set()
    assert made.drain() == []
    assert "closed, since the host is stopping" in told[0]
    assert made.arrived() == []


def test_stopping_is_set_at_the_stop(watch: Watches) -> None:
    waiting = threading.Event()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        waiting.set()
        assert stopping.wait(PATIENCE_SECONDS)
        emit(TICK("bye"))

    made = watch(observe, event_defs=[TICK])
    assert waiting.wait(PATIENCE_SECONDS)
    made.observers.stop()
    assert made.drain() == []
    assert made.next_event() == ("Demo", "Tick", "bye")


def test_a_crash_during_the_stop_starts_nothing_again(watch: Watches) -> None:
    starts = []

    def observe(emit: Emit, stopping: threading.Event) -> None:
        starts.append(1)
        stopping.wait(PATIENCE_SECONDS)
        raise RuntimeError("cut off")

    made = watch(observe)
    made.observers.stop()
    assert made.drain() == []
    assert len(starts) <= 1


def test_one_that_ignores_stopping_is_named_and_not_waited_for(watch: Watches) -> None:
    release, running = threading.Event(), threading.Event()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        running.set()
        release.wait(PATIENCE_SECONDS)

    made = watch(observe)
    assert running.wait(PATIENCE_SECONDS)
    made.observers.stop()
    assert made.drain(0.05) == ["demo observes demo"]
    release.set()
    assert made.drain() == []


def test_each_pack_has_a_thread_of_its_own(tmp_path: Path) -> None:
    meet = threading.Barrier(2)

    def observe(emit: Emit, stopping: threading.Event) -> None:
        meet.wait(PATIENCE_SECONDS)
        emit(TICK())

    made = Watch(
        tmp_path / "flyte-host.db",
        one=ObservingPlugin(observe, name="One", event_defs=[TICK]),
        two=ObservingPlugin(observe, name="Two", event_defs=[TICK]),
    )
    made.start()
    assert {made.next_event()[0] for _ in range(2)} == {"One", "Two"}
    made.close()


def test_without_a_start_there_is_nothing_to_join(tmp_path: Path) -> None:
    plugin = ObservingPlugin(lambda *_: sys.exit())
    made = Watch(tmp_path / "flyte-host.db", demo=plugin)
    made.close()


def test_an_event_that_flyte_cannot_keep_is_refused_before_it_is_anywhere(
    watch: Callable[..., Watch],
) -> None:
    refused: queue.Queue[str] = queue.Queue()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        with pytest.raises(ValueError, match="has 15,000,003 bytes, flyte keeps at most 15,0") as e:
            emit(TICK("x" * 15_000_001))
        refused.put(str(e.value))

    made = watch(observe, event_defs=[TICK])
    assert refused.get(timeout=10).startswith("payload of Tick has")
    assert made.arrived() == []
    assert made.journal.backlog().events == 0


def test_the_threads_of_a_pack_raise_in_turn(watch: Watches) -> None:
    """Events arrive in the order of the journal: a restart keeps it."""
    raised: list[int] = []
    lock = threading.Lock()

    def raise_some(emit: Emit) -> None:
        for _ in range(2):
            with lock:
                number = len(raised)
                raised.append(number)
                emit(TICK(number))

    def observe(emit: Emit, stopping: threading.Event) -> None:
        threads = [threading.Thread(target=raise_some, args=[emit]) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    made = watch(observe, event_defs=[TICK])
    assert [made.next_event()[2] for _ in range(16)] == list(range(16))
