"""Every action that was taken ends once, within its pack's slots."""

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
from flyte_host.pipeline.workers.recovery import CUT_OFF
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.handler_calls import calls_are_freed
from tests.support.host_parts import ECHO, OK, PackPlugin, flyte_script, taken
from tests.support.journal_file import execute, query, write_taken
from tests.support.pipeline_rig import EMPTY, TAKE, HandlerGate, PipelineRig, act
from tests.support.scripted_server import ScriptedServer, reply


@pytest.fixture
def gate() -> Iterator[HandlerGate]:
    made = HandlerGate()
    yield made
    made.go_on.set()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "B")
        for number in range(30):
            running.on(f"POST /v1/packs/Demo/actions/a{number}/result", reply(202))
        yield running


Rigs = Callable[..., PipelineRig]


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    """A running pipeline with one pack ``demo``; ``cut_off`` actions are in the journal before."""
    made: list[PipelineRig] = []

    def make(
        *commands: Command,
        slots: int = 4,
        cut_off: list[tuple[str, int, str]] | None = None,
        **plugins: PackPlugin,
    ) -> PipelineRig:
        rig = PipelineRig(
            server,
            tmp_path / "flyte-host.db",
            {"demo": PackPlugin(*commands), **plugins},
            slots=slots,
            interval_seconds=60,
        )
        made.append(rig)
        for pack_key, number, command in cut_off or ():
            write_taken(rig.parts.journal, pack_key, "Demo", taken(number, command))
        return rig.start()

    yield make
    for each in made:
        each.close(0.2)


def test_nothing_of_an_action_is_left_for_the_garbage_collector(rig: Rigs) -> None:
    """Inputs and results may be large."""
    running = rig(ECHO)
    with calls_are_freed():
        for number in range(3):
            running.submit(number)
        running.wait_for("POST /v1/packs/Demo/actions/a2/result", 1)
        running.wait_idle()


def load(rig: PipelineRig) -> tuple[int, int, int]:
    view = rig.view()
    return view.slots, view.running, view.stuck


def wait_load(rig: PipelineRig, *wanted: int) -> None:
    wait_until(lambda: load(rig) == wanted, f"slots, running and stuck are {wanted}")


def test_a_result_is_in_the_journal_before_flyte_gets_it(
    rig: Rigs, server: ScriptedServer, tmp_path: Path
) -> None:
    states: list[tuple[str, str]] = []

    def look(_: Any) -> bytes:
        states.extend(query(tmp_path / "flyte-host.db", "SELECT state, result FROM action"))
        return reply(202)

    made = rig(ECHO)
    given = act(server, 1, command="echo", input={"a": 1})
    server.on("POST /v1/packs/Demo/actions/a1/result", [look])
    server.on(TAKE, given, EMPTY)
    made.schedule.wake("Demo", {})
    assert made.next_event() == ("Ok", {"a": 1})
    wait_until(lambda: states, "flyte has looked")
    [(state, result)] = states
    assert state == "result"
    assert json.loads(result)["payload"] == {"a": 1}


def test_what_happened_is_logged_with_pack_command_and_action(
    rig: Rigs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.workers.run")
    made = rig(
        ECHO,
        Command("fatal", lambda _: fatal_event("no"), []),
        Command("broken", lambda _: None, []),  # type: ignore[arg-type]  # its point
    )
    for number, command in enumerate(("echo", "fatal", "broken")):
        made.submit(number, command)
        made.next_event()
    told = [
        (
            each.levelname,
            each.getMessage(),
            *(vars(each)[key] for key in ("pack", "command", "action")),
        )
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


def test_an_unknown_command_ends_as_a_fatal_that_names_the_known_ones(rig: Rigs) -> None:
    made = rig(ECHO, Command("close", lambda _: OK(), [OK]))
    made.submit(1, "ecko")
    assert made.next_event() == (
        "FATAL",
        "pack 'Demo' has no command 'ecko' (did you mean \"echo\"?); it has: echo, close",
    )
    wait_load(made, 4, 0, 0)


def test_an_event_that_the_command_does_not_declare_is_warned_of_and_sent(
    rig: Rigs, caplog: pytest.LogCaptureFixture
) -> None:
    secret = EventDef("Secret")
    other = Command("other", lambda _: secret(), [secret])
    made = rig(Command("tell", lambda _: secret(1), [OK]), other)
    made.submit(1, "tell")
    assert made.next_event() == ("Secret", 1)
    assert caplog.messages == [
        "tell sent Secret, which it does not declare: flow writers cannot know of it"
    ]
    caplog.clear()
    made.submit(2, "other")
    assert made.next_event() == ("Secret", None)
    assert caplog.messages == []


def test_a_full_pack_takes_nothing_until_an_action_ends(rig: Rigs, gate: HandlerGate) -> None:
    made = rig(Command("gate", gate, [OK]), slots=2)
    for number in (1, 2):
        made.submit(number, "gate")
    gate.wait_for(2)
    assert load(made) == (2, 2, 0)
    assert made.view().full
    takes = made.count(TAKE)  # one may have come before there was a second action
    made.submit(3, "gate")
    assert made.schedule.turns.next(waits=False) is None
    assert made.count(TAKE) == takes
    gate.go_on.set()
    gate.wait_for(1)


def test_a_timeout_frees_the_slot_and_the_late_result_is_dropped(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture
) -> None:
    made = rig(Command("gate", gate, [OK], timeout_seconds=0.05), slots=2)
    made.submit(1, "gate")
    assert made.next_event() == ("FATAL", "command 'gate' did not finish within 0.05 s")
    wait_load(made, 2, 0, 1)
    assert made.schedule.stuck_places("demo")[0].startswith("gate (at ")
    gate.go_on.set()
    wait_load(made, 2, 0, 0)
    text = "gate ended after its timeout; handlers of pack demo still stuck: 0"
    wait_until(lambda: text in caplog.messages, "it is told")
    assert len(made.results()) == 1


def test_stuck_handlers_quarantine_the_pack_until_one_ends(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture
) -> None:
    made = rig(Command("gate", gate, [OK], timeout_seconds=0.05), ECHO, slots=2)
    for number in (1, 2):
        made.submit(number, "gate")
    wait_load(made, 2, 0, 2)
    assert made.view().quarantined
    text = (
        "pack demo is quarantined: 2 handlers are still running past their timeout; it takes "
        "no actions until one of them ends"
    )
    wait_until(lambda: text in caplog.messages, "it is told")
    takes = made.count(TAKE)
    made.submit(3, "echo")
    assert made.schedule.turns.next(waits=False) is None
    assert made.count(TAKE) == takes
    gate.go_on.set()
    assert [made.next_event()[0] for _ in range(3)] == ["FATAL", "FATAL", "Ok"]


def test_a_coroutine_past_its_timeout_is_not_stuck_for_long(rig: Rigs) -> None:
    async def forever(input: Any) -> Event:
        await asyncio.Event().wait()
        return OK()

    made = rig(Command("forever", forever, [OK], timeout_seconds=0.05))
    made.submit(1, "forever")
    assert made.next_event()[0] == "FATAL"
    wait_load(made, 4, 0, 0)


def test_async_handlers_run_at_once_without_a_thread_each(rig: Rigs) -> None:
    go_on: list[asyncio.Event] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def wait(input: Any) -> Event:
        go_on.append(asyncio.Event())
        loops.append(asyncio.get_running_loop())
        await go_on[-1].wait()
        return OK(input)

    made = rig(Command("wait", wait, [OK]), slots=20)
    for number in range(20):
        made.submit(number, "wait", number)
    wait_until(lambda: len(go_on) == 20, "all of them run", timeout_seconds=30)
    assert made.view().running == 20
    for event, loop in zip(go_on, loops, strict=True):
        loop.call_soon_threadsafe(event.set)
    assert sorted(made.next_event()[1] for _ in range(20)) == list(range(20))


def run_while_the_journal_changes(
    rig: Rigs, gate: HandlerGate, folder: Path, statement: str
) -> PipelineRig:
    """Run an action to its end; ``statement`` changes the journal before its handler returns."""
    made = rig(Command("gate", gate, [OK]), slots=1)
    made.submit(1, "gate")
    gate.wait_for(1)
    execute(folder / "flyte-host.db", statement)
    gate.go_on.set()
    wait_load(made, 1, 0, 0)
    return made


def test_a_result_that_cannot_be_written_down_frees_its_slot(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    full = "CREATE TRIGGER full BEFORE UPDATE ON action BEGIN SELECT RAISE(ABORT, 'full'); END"
    made = run_while_the_journal_changes(rig, gate, tmp_path, full)
    text = "the result of gate waits in memory until the journal can be written: "
    assert any(each.startswith(text) for each in caplog.messages)
    assert made.results() == []
    execute(tmp_path / "flyte-host.db", "DROP TRIGGER full")
    assert made.next_event() == ("Ok", 1)


def test_a_result_whose_entry_was_dropped_is_discarded(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    run_while_the_journal_changes(rig, gate, tmp_path, "DELETE FROM action")
    assert "gate ended, but its journal entry has been dropped: discarding its result" in (
        caplog.messages
    )


def test_a_handler_that_ends_after_the_stop_is_for_the_next_start(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture
) -> None:
    made = rig(Command("gate", gate, [OK]), slots=1)
    made.submit(1, "gate")
    gate.wait_for(1)
    assert made.close(0.05) == 1
    caplog.clear()
    gate.go_on.set()
    wait_load(made, 1, 0, 0)
    (told,) = (each for each in caplog.records if each.levelname == "WARNING")
    words = "gate ended after the host had stopped; the next start treats it as cut off"
    assert told.getMessage() == words
    assert told.exc_info is None
    assert made.results() == []


def test_a_drain_waits_for_what_runs(rig: Rigs, gate: HandlerGate) -> None:
    made = rig(Command("gate", gate, [OK]))
    made.submit(1, "gate")
    gate.wait_for(1)
    left: list[int] = []
    drain = threading.Thread(target=lambda: left.append(made.close()))
    drain.start()
    wait_until(lambda: made.schedule.stopping, "it stops")
    gate.go_on.set()
    drain.join(PATIENCE_SECONDS)
    assert left == [0]
    assert made.next_event() == ("Ok", 1)


def test_a_drain_says_what_is_left_at_its_deadline(rig: Rigs, gate: HandlerGate) -> None:
    made = rig(Command("gate", gate, [OK]))
    for number in (1, 2):
        made.submit(number, "gate")
    gate.wait_for(2)
    made.schedule.stop()
    assert made.schedule.drain(time.monotonic() + 0.05) == 2
    assert made.schedule.drain(0) == 2


def test_an_action_past_its_timeout_does_not_hold_up_the_drain(
    rig: Rigs, gate: HandlerGate
) -> None:
    made = rig(Command("gate", gate, [OK], timeout_seconds=0.05))
    made.submit(1, "gate")
    gate.wait_for(1)
    made.schedule.stop()
    assert made.schedule.drain(time.monotonic() + 10) == 0


def idempotent(handler: Any, **more: Any) -> Command:
    return Command("again", handler, [OK], idempotent=True, **more)


def test_recovery_runs_an_idempotent_command_again(
    rig: Rigs, gate: HandlerGate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.go_on.set()
    made = rig(idempotent(gate), cut_off=[("demo", 1, "again")])
    assert made.next_event() == ("Ok", 2)
    assert gate.attempts == [("a1", 2)]
    assert f"running again again: {CUT_OFF}" in caplog.messages


def test_recovery_ends_other_actions_as_fatal(rig: Rigs, caplog: pytest.LogCaptureFixture) -> None:
    not_idempotent, no_command, no_pack = (
        ("demo", 1, "echo"),
        ("demo", 2, "gone"),
        ("gone", 3, "echo"),
    )
    made = rig(ECHO, cut_off=[not_idempotent, no_command, no_pack])
    assert [made.next_event() for _ in range(3)] == [("FATAL", CUT_OFF)] * 3
    assert f"echo ends as FATAL: {CUT_OFF}" in caplog.messages
    assert made.parts.journal.unfinished() == []
    wait_load(made, 4, 0, 0)


def test_recovery_runs_no_more_at_once_than_there_are_slots(rig: Rigs) -> None:
    crowd = Gathering()
    cut_off = [("demo", number, "again") for number in range(7)]
    made = rig(idempotent(crowd), slots=2, cut_off=cut_off)
    assert [made.next_event()[0] for _ in range(7)] == ["Ok"] * 7
    assert crowd.most <= 2


def test_recovery_goes_on_beside_a_pack_without_free_slots(rig: Rigs, gate: HandlerGate) -> None:
    cut_off = [("demo", 1, "again"), ("demo", 2, "again"), ("other", 4, "again")]
    other = PackPlugin(idempotent(lambda i: OK(7)), name="B")
    made = rig(idempotent(gate), slots=1, cut_off=cut_off, other=other)
    assert made.next_event() == ("Ok", 7)
    assert made.view().cut_off == 1
    gate.wait_for(1)
    assert made.close(0.05) == 2
    assert gate.attempts == [("a1", 2)]


def test_a_stop_leaves_what_is_to_be_recovered_to_the_next_start(
    rig: Rigs, gate: HandlerGate, tmp_path: Path
) -> None:
    cut_off = [("demo", number, "again") for number in (1, 2)]
    made = rig(idempotent(gate), slots=1, cut_off=cut_off)
    gate.wait_for(1)
    made.schedule.stop()
    gate.go_on.set()
    assert made.schedule.drain(time.monotonic() + 10) == 0
    assert made.view().cut_off == 1
    assert [each.attempt for each in made.parts.journal.unfinished()] == [1]


def test_recovery_goes_before_takes(rig: Rigs, gate: HandlerGate) -> None:
    cut_off = [("demo", number, "again") for number in (1, 2)]
    made = rig(idempotent(gate), slots=1, cut_off=cut_off)
    made.submit(3, "again")
    gate.wait_for(1)
    assert made.count(TAKE) == 0
    gate.go_on.set()
    for _ in range(3):
        made.next_event()
    assert [action for action, _ in gate.attempts] == ["a1", "a2", "a3"]


class Gathering:
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


@settings(max_examples=10, deadline=None)
@given(slots=st.integers(1, 5), actions=st.integers(1, 25))
def test_slots_are_never_exceeded_and_every_action_ends_once(
    tmp_path_factory: pytest.TempPathFactory, slots: int, actions: int
) -> None:
    crowd = Gathering()
    state = tmp_path_factory.mktemp("state") / "flyte-host.db"
    with ScriptedServer() as server:
        flyte_script(server, "Demo")
        made = PipelineRig(
            server, state, {"demo": PackPlugin(Command("crowd", crowd, [OK]))}, slots=slots
        )
        made.start()
        for number in range(actions):
            made.submit(number, "crowd", number)
        payloads = [made.next_event()[1] for _ in range(actions)]
        wait_load(made, slots, 0, 0)
        assert made.close() == 0
        assert len(made.results()) == actions
    assert sorted(payloads) == list(range(actions))
    assert crowd.most <= slots
