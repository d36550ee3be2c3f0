"""Observers run in threads of their own; what they emit is in the journal when emit returns."""

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Event, EventDef
from flyte_host.pipeline.journal import Delivery, Journal, JournalError
from flyte_host.pipeline.observers import Observers
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.host_parts import ObservingPlugin, served, utc_now

TICK = EventDef("Tick")
Emit = Callable[[Event], None]


class Watch:
    """Observers with their journal; what was emitted comes out of ``emitted``."""

    def __init__(
        self, state: Path, emitted: queue.Queue[Delivery], **plugins: ObservingPlugin
    ) -> None:
        self.journal = Journal(state)
        self.emitted = emitted
        self.observers = Observers(
            served(plugins).values(),
            self.journal,
            emitted=self.emitted.put,
            wait_for_room=lambda _: None,
            now=utc_now,
            restart_seconds=0.01,
            restart_cap_seconds=0.03,
        )

    def next_event(self) -> tuple[str, str, Any]:
        delivery = self.emitted.get(timeout=PATIENCE_SECONDS)
        event = json.loads(delivery.body)
        return delivery.pack_key, event["event"], event["payload"]

    def join(self, seconds: float = PATIENCE_SECONDS) -> list[str]:
        return self.observers.join(time.monotonic() + seconds, time.monotonic)

    def close(self) -> None:
        self.observers.stop()
        assert self.join() == []
        self.journal.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []

    def make(observe: Callable[[Emit, threading.Event], None], **more: Any) -> Watch:
        plugin = ObservingPlugin(observe, **more)
        made.append(Watch(tmp_path / "flyte-host.db", queue.Queue(), demo=plugin))
        made[-1].observers.start()
        return made[-1]

    yield make
    for each in made:
        each.close()


Watches = Callable[..., Watch]


def test_events_are_handed_on_in_order_once_they_are_in_the_journal(watch: Watches) -> None:
    def observe(emit: Emit, stopping: threading.Event) -> None:
        for number in range(50):
            emit(TICK(number))

    made = watch(observe, event_defs=[TICK])
    assert [made.next_event() for _ in range(50)] == [("demo", "Tick", n) for n in range(50)]
    assert [each.number for each in made.journal.undelivered()] == list(range(1, 51))


def test_an_event_is_told_with_its_pack(watch: Watches, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    made = watch(lambda emit, stopping: emit(TICK()), event_defs=[TICK])
    made.next_event()
    assert made.join() == []
    assert [(each.getMessage(), each.pack) for each in caplog.records] == [
        ("raised Tick", "demo"),
        ("observer of demo returned: it raises no more events", "demo"),
    ]


def test_one_that_returns_is_not_started_again(
    watch: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    starts = []
    made = watch(lambda emit, stopping: starts.append(1))
    assert made.join() == []
    assert starts == [1]
    assert caplog.messages == ["observer of demo returned: it raises no more events"]


def test_one_that_returns_when_it_is_asked_to_is_not_told(
    watch: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.observers")
    made = watch(lambda emit, stopping: stopping.wait(PATIENCE_SECONDS))
    made.observers.stop()
    assert made.join() == []
    assert caplog.messages == []


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
    assert made.join() == []
    assert told == [
        f"TypeError: emit takes an Event, not {kind}: MY_EVENT(payload)"
        for kind in ("str", "NoneType", "dict", "Event")
    ]
    assert made.emitted.empty()


def test_a_payload_that_is_no_json_is_told_to_the_observer(watch: Watches) -> None:
    told: list[str] = []
    made = watch(lambda emit, stopping: told.extend(attempts(emit, TICK(float("nan")))))
    assert made.join() == []
    assert told == [
        "ValueError: payload of Tick is no JSON: it has a number that is not finite (nan or inf)"
    ]
    assert made.journal.counts().events == 0


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
    assert running.join() == []
    assert running.emitted.qsize() == 12
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
    assert made.next_event() == ("demo", "Tick", None)
    assert [each for each in caplog.messages if "starts again" in each] == [
        f"observer of demo raised {words}; it starts again in {seconds} s"
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
    assert made.join() == []
    assert "closed, since the host stops" in told[0]
    assert made.emitted.empty()


def test_stopping_is_set_at_the_stop(watch: Watches) -> None:
    waiting = threading.Event()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        waiting.set()
        assert stopping.wait(PATIENCE_SECONDS)
        emit(TICK("bye"))

    made = watch(observe, event_defs=[TICK])
    assert waiting.wait(PATIENCE_SECONDS)
    made.observers.stop()
    assert made.join() == []
    assert made.next_event() == ("demo", "Tick", "bye")


def test_a_crash_during_the_stop_starts_nothing_again(watch: Watches) -> None:
    starts = []

    def observe(emit: Emit, stopping: threading.Event) -> None:
        starts.append(1)
        stopping.wait(PATIENCE_SECONDS)
        raise RuntimeError("cut off")

    made = watch(observe)
    made.observers.stop()
    assert made.join() == []
    assert len(starts) <= 1


def test_one_that_ignores_stopping_is_named_and_not_waited_for(watch: Watches) -> None:
    release, running = threading.Event(), threading.Event()

    def observe(emit: Emit, stopping: threading.Event) -> None:
        running.set()
        release.wait(PATIENCE_SECONDS)

    made = watch(observe)
    assert running.wait(PATIENCE_SECONDS)
    made.observers.stop()
    assert made.join(0.05) == ["demo observes demo"]
    release.set()
    assert made.join() == []


def test_each_pack_has_a_thread_of_its_own(tmp_path: Path) -> None:
    meet = threading.Barrier(2)

    def observe(emit: Emit, stopping: threading.Event) -> None:
        meet.wait(PATIENCE_SECONDS)
        emit(TICK())

    made = Watch(
        tmp_path / "flyte-host.db",
        queue.Queue(),
        one=ObservingPlugin(observe, name="One", event_defs=[TICK]),
        two=ObservingPlugin(observe, name="Two", event_defs=[TICK]),
    )
    made.observers.start()
    assert {made.next_event()[0] for _ in range(2)} == {"one", "two"}
    made.close()


def test_without_a_start_there_is_nothing_to_join(tmp_path: Path) -> None:
    plugin = ObservingPlugin(lambda *_: sys.exit())
    made = Watch(tmp_path / "flyte-host.db", queue.Queue(), demo=plugin)
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
    assert refused.get(timeout=PATIENCE_SECONDS).startswith("payload of Tick has")
    assert made.emitted.empty()
    assert made.journal.counts().events == 0


class Slow(queue.Queue[Delivery]):
    def put(self, item: Delivery, block: bool = True, timeout: float | None = None) -> None:
        threading.Event().wait(0.002 * (item.number % 3))
        super().put(item, block, timeout)


def test_the_threads_of_a_pack_raise_one_after_the_other(tmp_path: Path) -> None:
    """The order in which events are handed on is that of the journal: a restart keeps it."""

    def observe(emit: Emit, stopping: threading.Event) -> None:
        threads = [threading.Thread(target=attempts, args=[emit, TICK(), TICK()]) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    made = Watch(tmp_path / "flyte-host.db", Slow(), demo=ObservingPlugin(observe))
    made.observers.start()
    numbers = [made.emitted.get(timeout=PATIENCE_SECONDS).number for _ in range(16)]
    made.close()
    assert numbers == list(range(1, 17))
