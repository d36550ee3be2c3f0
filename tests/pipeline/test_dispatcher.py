"""Every submitted action ends in the journal once, within its pack's slots."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host import Command, Event, EventDef, fatal_event
from flyte_host.pipeline.bulkhead import Load
from flyte_host.pipeline.dispatcher import CUT_OFF, dispatching
from flyte_host.pipeline.journal import Kind
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import ECHO, OK, Bench, Plugin, served, taken


class Gate:
    """A handler that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.attempts: list[tuple[str, int]] = []

    def __call__(self, input: Any, action: Any) -> Event:
        self.attempts.append((action.id, action.attempt))
        self.arrived.release()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return OK(action.attempt)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE_SECONDS)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.go_on.set()


Benches = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Benches]:
    """A bench with one pack ``demo``, of so many slots."""
    made: list[Bench] = []

    def make(*commands: Command, slots: int = 4, **plugins: Plugin) -> Bench:
        packs = served({"demo": Plugin(*commands), **plugins}, {"demo": {"max_concurrent": slots}})
        made.append(Bench(packs, tmp_path / "flyte-host.db"))
        return made[-1]

    yield make
    for each in made:
        each.__exit__()


def test_a_result_is_in_the_journal_before_it_is_handed_on(bench: Benches) -> None:
    made = bench(ECHO)
    made.submit("demo", taken(1, "echo", {"a": 1}))
    delivery = made.finished.get(timeout=PATIENCE_SECONDS)
    assert made.journal.read(Kind.RESULT, 1) == delivery
    assert (delivery.pack_key, delivery.pack, delivery.command) == ("demo", "Demo", "echo")
    assert json.loads(delivery.body)["payload"] == {"a": 1}
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.load("demo") == Load(4, 0, 0)


def test_what_happened_is_logged_with_pack_command_and_action(
    bench: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.dispatcher")
    made = bench(
        ECHO,
        Command("fatal", lambda _: fatal_event("no"), []),
        Command("broken", lambda _: None, []),
    )
    for number, command in enumerate(("echo", "fatal", "broken")):
        made.submit("demo", taken(number, command))
        made.next_event()
    told = [
        (each.levelname, each.getMessage(), each.pack, each.command, each.action)
        for each in caplog.records
        if "started" not in each.getMessage()
    ]
    problem = "command 'broken' returned nothing, expected an Event"
    assert told == [
        ("INFO", "echo → Ok", "demo", "echo", "a0"),
        ("WARNING", "fatal → FATAL", "demo", "fatal", "a1"),
        ("ERROR", f"broken → FATAL: {problem}", "demo", "broken", "a2"),
    ]
    assert "echo started" in caplog.messages


def test_an_unknown_command_ends_as_a_fatal_that_names_the_known_ones(bench: Benches) -> None:
    made = bench(ECHO, Command("close", lambda _: OK(), [OK]))
    made.submit("demo", taken(1, "ecko"))
    assert made.next_event() == (
        "FATAL",
        "pack 'Demo' has no command 'ecko' (did you mean \"echo\"?); it has: echo, close",
    )
    assert made.dispatcher.load("demo").running == 0
    assert made.dispatcher.drain(0) == 0


def test_a_pack_without_commands_says_so(bench: Benches) -> None:
    made = bench()
    made.submit("demo", taken(1, "echo"))
    assert made.next_event() == ("FATAL", "pack 'Demo' has no command 'echo'; it has: none")


def test_an_event_that_the_command_does_not_declare_is_warned_of_and_sent(
    bench: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    secret = EventDef("Secret")
    other = Command("other", lambda _: secret(), [secret])
    made = bench(Command("tell", lambda _: secret(1), [OK]), other)
    made.submit("demo", taken(1, "tell"))
    assert made.next_event() == ("Secret", 1)
    assert caplog.messages == [
        "tell sent Secret, which it does not declare: flow writers cannot know of it"
    ]
    caplog.clear()
    made.submit("demo", taken(2, "other"))
    assert made.next_event() == ("Secret", None)
    assert caplog.messages == []


def test_a_full_pack_has_no_slot_until_an_action_ends(bench: Benches, gate: Gate) -> None:
    made = bench(Command("gate", gate, [OK]), slots=2)
    made.submit("demo", taken(1, "gate"))
    made.submit("demo", taken(2, "gate"))
    assert not made.dispatcher.reserve("demo")
    gate.go_on.set()
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.reserve("demo")
    made.dispatcher.release("demo")


def test_a_slot_can_be_given_back_unused(bench: Benches) -> None:
    made = bench(ECHO, slots=1)
    assert made.dispatcher.reserve("demo")
    assert not made.dispatcher.reserve("demo")
    made.dispatcher.release("demo")
    assert made.dispatcher.reserve("demo")


def test_a_time_out_frees_the_slot_and_the_late_result_is_dropped(
    bench: Benches, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(Command("gate", gate, [OK], timeout_seconds=0.5), slots=2)
    made.submit("demo", taken(1, "gate"))
    assert made.next_event() == ("FATAL", "command 'gate' did not finish within 0.5 s")
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.load("demo") == Load(2, 0, 1)
    gate.go_on.set()
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.load("demo") == Load(2, 0, 0)
    assert "gate ended after its time-out; stuck handlers of this pack: 0" in caplog.messages
    assert made.finished.empty()


def test_stuck_handlers_quarantine_the_pack_until_one_ends(
    bench: Benches, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(Command("gate", gate, [OK], timeout_seconds=0.5), slots=2)
    for number in (1, 2):
        made.submit("demo", taken(number, "gate"))
    for _ in range(2):
        assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.load("demo") == Load(2, 0, 2)
    assert not made.dispatcher.reserve("demo")
    assert (
        "pack is quarantined: 2 handlers run on past their time-out; it gets actions again when "
        "one of them ends"
    ) in caplog.messages
    gate.go_on.set()
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert made.dispatcher.reserve("demo")


def test_a_coroutine_past_its_time_out_is_not_stuck_for_long(bench: Benches) -> None:
    async def forever(input: Any) -> Event:
        await asyncio.Event().wait()
        return OK()

    made = bench(Command("forever", forever, [OK], timeout_seconds=0.5))
    made.submit("demo", taken(1, "forever"))
    assert made.next_event()[0] == "FATAL"
    assert [made.freed.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == ["demo", "demo"]
    assert made.dispatcher.load("demo") == Load(4, 0, 0)


class Unstartable:
    """A handler whose kind cannot be asked, as soon as it is in use."""

    in_use = False

    def __call__(self, input: Any) -> Event:
        return OK()

    def __getattribute__(self, name: str) -> Any:
        if name == "__call__" and object.__getattribute__(self, "in_use"):
            raise RuntimeError("no more threads")
        return object.__getattribute__(self, name)


def test_a_handler_that_cannot_be_started_ends_its_action_once(bench: Benches) -> None:
    handler = Unstartable()
    made = bench(Command("start", handler, [OK], timeout_seconds=0.1), ECHO)
    handler.in_use = True
    made.submit("demo", taken(1, "start"))
    assert made.next_event() == ("FATAL", "the host could not run the command: no more threads")
    passed = threading.Event()
    made.runner._deadlines.after(0.15, passed.set)  # behind the time-out of the action
    assert passed.wait(PATIENCE_SECONDS)
    assert made.finished.empty()
    assert made.dispatcher.load("demo") == Load(4, 0, 0)
    assert made.dispatcher.drain(0) == 0


def test_a_result_that_cannot_be_written_down_frees_its_slot(
    bench: Benches, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(Command("gate", gate, [OK]), slots=1)
    made.submit("demo", taken(1, "gate"))
    gate.wait_for(1)
    made.journal._file._db.execute("ALTER TABLE action RENAME TO hidden")
    gate.go_on.set()
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    assert "result of gate could not be written down" in caplog.messages
    assert made.finished.empty()
    assert made.dispatcher.drain(time.monotonic() + PATIENCE_SECONDS) == 0
    assert made.dispatcher.load("demo") == Load(1, 0, 0)


def test_a_handler_that_ends_after_the_stop_is_for_the_next_start(
    bench: Benches, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(Command("gate", gate, [OK]), slots=1)
    made.submit("demo", taken(1, "gate"))
    gate.wait_for(1)
    made.journal.close()
    gate.go_on.set()
    assert made.freed.get(timeout=PATIENCE_SECONDS) == "demo"
    (told,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert told.getMessage() == "gate ended after the host's stop; the next start settles it"
    assert told.exc_info is None
    assert made.finished.empty()


def test_drain_waits_for_what_runs(bench: Benches, gate: Gate) -> None:
    made = bench(Command("gate", gate, [OK]))
    made.submit("demo", taken(1, "gate"))
    gate.wait_for(1)
    left: list[int] = []
    drain = threading.Thread(
        target=lambda: left.append(made.dispatcher.drain(time.monotonic() + PATIENCE_SECONDS))
    )
    drain.start()
    gate.go_on.set()
    drain.join(PATIENCE_SECONDS)
    assert left == [0]
    assert made.journal.counts().results == 1


def test_drain_says_what_is_left_at_its_deadline(bench: Benches, gate: Gate) -> None:
    made = bench(Command("gate", gate, [OK]))
    for number in (1, 2):
        made.submit("demo", taken(number, "gate"))
    assert made.dispatcher.drain(time.monotonic() + 0.05) == 2
    assert made.dispatcher.drain(0) == 2


def test_an_action_past_its_time_out_does_not_hold_up_the_drain(bench: Benches, gate: Gate) -> None:
    made = bench(Command("gate", gate, [OK], timeout_seconds=0.5))
    made.submit("demo", taken(1, "gate"))
    assert made.dispatcher.drain(time.monotonic() + PATIENCE_SECONDS) == 0


def idempotent(handler: Any, **more: Any) -> Command:
    return Command("again", handler, [OK], idempotent=True, **more)


def test_recovery_runs_an_idempotent_command_again(
    bench: Benches, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(idempotent(gate))
    gate.go_on.set()
    made.take("demo", taken(1, "again"))
    made.dispatcher.recover(made.journal.unfinished())
    assert made.next_event() == ("Ok", 2)
    assert gate.attempts == [("a1", 2)]
    assert f"again runs again: {CUT_OFF}" in caplog.messages


def test_recovery_ends_other_actions_as_fatal(
    bench: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    made = bench(ECHO)
    made.take("demo", taken(1, "echo"))  # not idempotent
    made.take("demo", taken(2, "gone"))  # the pack has no such command any more
    made.take("gone", taken(3, "echo"))  # nor is this pack configured any more
    made.dispatcher.recover(made.journal.unfinished())
    text = "the host stopped while this command was running"
    assert [made.next_event() for _ in range(3)] == [("FATAL", text)] * 3
    assert f"echo ends as FATAL: {text}" in caplog.messages
    assert made.journal.unfinished() == []
    assert made.dispatcher.load("demo").running == 0


def test_recovery_of_nothing_does_nothing(bench: Benches) -> None:
    made = bench(ECHO)
    made.dispatcher.recover([])
    assert made.finished.empty()


def test_recovery_runs_no_more_at_once_than_there_are_slots(bench: Benches) -> None:
    crowd = Crowd()
    made = bench(idempotent(crowd), slots=2)
    for number in range(7):
        made.take("demo", taken(number, "again"))
    made.dispatcher.recover(made.journal.unfinished())
    assert [made.next_event()[0] for _ in range(7)] == ["Ok"] * 7
    assert crowd.most <= 2


def test_a_pack_without_free_slots_does_not_hold_up_the_recovery_of_others(
    bench: Benches, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "LOOK_SECONDS", 10 * PATIENCE_SECONDS)  # so it must be told
    made = bench(idempotent(gate), slots=1, other=Plugin(idempotent(lambda i: OK(7)), name="B"))
    for number in (1, 2):
        made.take("demo", taken(number, "again"))
    made.take("demo", taken(3, "gone"))
    made.take("other", taken(4, "again"))
    recovery = threading.Thread(target=made.dispatcher.recover, args=(made.journal.unfinished(),))
    recovery.start()
    assert made.next_event() == ("FATAL", CUT_OFF)
    assert made.next_event() == ("Ok", 7)
    made.dispatcher.abandon()
    recovery.join(PATIENCE_SECONDS)
    assert not recovery.is_alive()
    assert gate.attempts == [("a1", 2)]
    assert [each.attempt for each in made.journal.unfinished()] == [2, 1]


def test_an_abandoned_recovery_leaves_the_rest_to_the_next(bench: Benches) -> None:
    made = bench(idempotent(lambda _: OK()))
    made.take("demo", taken(1, "again"))
    made.dispatcher.abandon()
    made.dispatcher.recover(made.journal.unfinished())
    assert len(made.journal.unfinished()) == 1


def test_recovery_without_a_journal_keeps_no_slot(bench: Benches) -> None:
    made = bench(idempotent(lambda _: OK()), slots=1)
    made.take("demo", taken(1, "again"))
    opened = made.journal.unfinished()
    made.journal.close()
    with pytest.raises(Exception, match="closed, since the host stops"):
        made.dispatcher.recover(opened)
    assert made.dispatcher.load("demo") == Load(1, 0, 0)


class Crowd:
    """A handler that counts how many of it run at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, input: Any) -> Event:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        for _ in range(20):
            os.sched_yield()
        with self._lock:
            self._now -= 1
        return OK(input)


@settings(max_examples=15)
@given(slots=st.integers(1, 5), actions=st.integers(1, 25), takers=st.integers(1, 4))
def test_slots_are_never_exceeded_and_every_action_ends_once(
    tmp_path_factory: pytest.TempPathFactory, slots: int, actions: int, takers: int
) -> None:
    crowd = Crowd()
    packs = served(
        {"demo": Plugin(Command("crowd", crowd, [OK]))}, {"demo": {"max_concurrent": slots}}
    )
    numbers = iter(range(actions))
    guard = threading.Lock()

    def take(made: Bench) -> None:
        while True:
            with guard:
                number = next(numbers, None)
            if number is None:
                return
            wait_until(lambda: made.dispatcher.reserve("demo"), "a free slot", look_seconds=0.001)
            made.dispatcher.submit(made.take("demo", taken(number, "crowd", number)))

    with Bench(packs, tmp_path_factory.mktemp("state") / "flyte-host.db") as made:
        threads = [threading.Thread(target=take, args=(made,)) for _ in range(takers)]
        for thread in threads:
            thread.start()
        payloads = [made.next_event()[1] for _ in range(actions)]
        assert made.dispatcher.drain(time.monotonic() + PATIENCE_SECONDS) == 0
        assert made.dispatcher.load("demo") == Load(slots, 0, 0)
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert sorted(payloads) == list(range(actions))
    assert crowd.most <= slots
