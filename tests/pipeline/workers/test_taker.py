"""Actions are taken when there is a slot for them, whatever flyte answers."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.client.token import Token
from flyte_host.clock import Clock
from flyte_host.embedded import EmbeddedFlyte
from flyte_host.pipeline.schedule.poll_record import CONTENTION_LIMIT
from flyte_host.secrets import SecretRef
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.web.web_server import WebServer
from tests.support.host_parts import (
    ECHO,
    OK,
    PackPlugin,
    client_for,
    flyte_script,
)
from tests.support.journal_file import execute
from tests.support.pipeline_rig import EMPTY, REGISTER, TAKE, HandlerGate, PipelineRig, act
from tests.support.scripted_server import (
    CLOSE,
    Reply,
    ScriptedServer,
    Seen,
    action,
    port_of_nobody,
    registered,
    reply,
    reply_together,
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other", "Bare")
        yield running


Rigs = Callable[..., PipelineRig]


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    made: list[PipelineRig] = []

    def make(*commands: Command, **more: Any) -> PipelineRig:
        more.setdefault("plugins", {"demo": PackPlugin(*(commands or (ECHO,)))})
        made.append(PipelineRig(server, tmp_path / "flyte-host.db", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_pack_is_registered_and_then_polled(rig: Rigs) -> None:
    made = rig()
    assert made.view("demo").polled_at is None
    before = time.monotonic()
    made.start()
    made.wait_for(TAKE, 3)
    assert made.count(REGISTER) == 1
    polled = made.view("demo").polled_at
    assert polled is not None
    assert before <= polled <= time.monotonic()
    assert made.view("demo").problem == ""


def test_what_is_taken_is_in_the_journal_and_run(rig: Rigs, server: ScriptedServer) -> None:
    numbers = iter(range(5))

    def answer(_: Seen) -> bytes:
        number = next(numbers, None)
        return EMPTY if number is None else act(server, number, input={"n": number})

    server.on(TAKE, [answer])
    made = rig()
    made.start()
    payloads = [made.next_event()[1]["n"] for _ in range(5)]
    assert sorted(payloads) == list(range(5))


def test_finds_are_followed_at_once(rig: Rigs, server: ScriptedServer) -> None:
    numbers = iter(range(30))

    def answer(_: Seen) -> bytes:
        number = next(numbers, None)
        return EMPTY if number is None else act(server, number)

    server.on(TAKE, [answer])
    made = rig(interval_seconds=60)
    made.start()
    for _ in range(30):
        made.next_event()


def test_without_a_slot_nothing_is_taken(rig: Rigs, server: ScriptedServer) -> None:
    gate = HandlerGate()
    server.on(TAKE, act(server, 1), act(server, 2), EMPTY)
    made = rig(
        slots=1,
        plugins={
            "demo": PackPlugin(Command("echo", gate, [OK])),
            "other": PackPlugin(ECHO, name="Other"),
        },
    )
    made.start()
    assert gate.arrived.acquire(timeout=PATIENCE_SECONDS)
    seen = made.count("POST /v1/packs/Other/actions/take")
    made.wait_for("POST /v1/packs/Other/actions/take", seen + 10)
    assert made.count(TAKE) == 1
    gate.go_on.set()
    made.wait_for(TAKE, 3)
    assert [made.next_event()[0] for _ in range(2)] == ["Ok", "Ok"]


def test_a_pack_with_one_slot_is_polled_forever(rig: Rigs, server: ScriptedServer) -> None:
    """Woken repeatedly while its only slot is given back: it must not wait for no one."""
    numbers = iter(range(1000))

    def answer(_: Seen) -> bytes:
        number = next(numbers)
        return act(server, number) if number % 3 == 0 else EMPTY

    server.on(TAKE, [answer])
    made = rig(slots=1, interval_seconds=0.01)
    made.start()
    for polls in range(10, 200, 10):
        made.schedule.wake("Demo", {})
        made.schedule.hints.give("p")
        made.wait_for(TAKE, polls)


def test_a_forgotten_pack_is_registered_again_and_polling_goes_on(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.on(TAKE, EMPTY, reply(404), EMPTY, act(server), EMPTY)
    made = rig()
    made.start()
    assert made.next_event()[0] == "Ok"
    assert made.count(REGISTER) == 2
    assert made.view("demo").problem == ""
    assert "cannot poll" not in caplog.text


def test_a_pack_that_flyte_forgets_at_once_is_not_registered_without_pause(
    rig: Rigs, server: ScriptedServer
) -> None:
    times: list[float] = []

    def answer(_: Seen) -> bytes:
        times.append(time.monotonic())
        return reply(404)

    server.on(TAKE, [answer])
    made = rig()
    made.start()
    made.wait_for(TAKE, 4)
    assert made.count(REGISTER) == 4
    assert made.view("demo").problem.endswith("was answered with 404")
    assert times[2] - times[1] > 0.7
    assert times[3] - times[2] > 1.4


def test_a_pack_without_commands_is_kept_alive_and_never_polled(
    rig: Rigs, server: ScriptedServer
) -> None:
    made = rig(plugins={"bare": PackPlugin(name="Bare")}, keep_alive_seconds=0.05)
    made.start()
    made.wait_for(REGISTER, 4)
    assert made.count("POST /v1/packs/Bare/actions/take") == 0
    assert made.view("bare").polled_at is not None
    assert made.view("bare").problem == ""


def test_a_pack_without_commands_that_flyte_deleted_is_registered_at_once(
    rig: Rigs, server: ScriptedServer
) -> None:
    """flyte wakes it then, however recent its registration is."""
    made = rig(plugins={"bare": PackPlugin(name="Bare")}, keep_alive_seconds=3600)
    made.start()
    wait_until(lambda: made.view("bare").polled_at is not None, "it is registered")
    made.schedule.wake("Bare", {})
    made.wait_for(REGISTER, 2)


def test_a_registration_that_fails_is_a_problem_until_it_succeeds(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.schedule.turn")
    (register,) = server._scripts[REGISTER].replies
    server.on(REGISTER, reply(400), register)
    made = rig()
    made.start()
    problem = f"POST {server.url}/v1/packs was answered with 400"
    wait_until(lambda: made.view("demo").problem == problem, "the problem")
    assert made.view("demo").polled_at is None
    made.wait_for(TAKE, 1)
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    well = "pack demo is polled again"
    wait_until(lambda: well in caplog.messages, "the log says so")
    told = [each for each in caplog.messages if "poll" in each]
    assert told == [f"cannot poll pack demo: {problem}", well]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(401), "was answered with 401: flyte's policy does not allow it"),
        (reply(400), "was answered with 400"),
        (reply(200, b"<html>"), "expected an action as JSON"),
    ],
)
def test_a_take_that_flyte_will_not_answer_is_a_problem_told_once(
    rig: Rigs,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    answer: Reply,
    words: str,
) -> None:
    server.on(TAKE, answer, answer, EMPTY)
    made = rig()
    made.start()
    wait_until(lambda: words in made.view("demo").problem, "the problem")
    made.wait_for(TAKE, 3)
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    assert len([each for each in caplog.messages if "cannot poll" in each]) == 1
    made.wait_idle()


def test_with_a_new_token_polling_goes_on(
    rig: Rigs, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("old-token")

    def answer(seen: Seen) -> bytes:
        return EMPTY if seen.headers["authorization"] == "Bearer new-token" else reply(401)

    server.on(TAKE, [answer])
    token = Token(SecretRef(file=tmp_path / "token"), {})
    made = rig(client=client_for(server.url, token=token))
    made.start()
    wait_until(lambda: made.view("demo").problem, "the problem")
    (tmp_path / "token").write_text("new-token")
    wait_until(lambda: made.view("demo").polled_at, "a poll")


def test_takes_that_find_out_together_that_flyte_forgot_the_pack_are_one_trouble(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host")
    forgotten = reply_together(2, 404)
    server.on(TAKE, act(server), [forgotten], [forgotten], EMPTY)
    made = rig()
    made.start()
    made.wait_for(TAKE, 5)
    wait_until(lambda: made.view().problem == "", "no problem is left")
    assert made.count(REGISTER) == 2
    assert not [each for each in caplog.messages if "poll" in each]


def test_a_pack_that_flyte_forgot_in_an_outage_is_registered_at_once(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As if it had been well: no warning that the next line takes back, and no line per pack."""
    caplog.set_level(logging.INFO, "flyte_host")
    server.on(TAKE, EMPTY, reply(503), reply(404), EMPTY)
    made = rig()
    made.start()
    wait_until(lambda: "registered again as Demo" in caplog.messages, "it is registered again")
    made.wait_for(TAKE, 4)
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    told = [each for each in caplog.messages if "flyte is" not in each]
    assert told == [
        "registered as Demo: commands echo",
        "flyte no longer knows pack Demo; registering it again",
        "registered again as Demo",
    ]


@pytest.mark.parametrize("fault", [[CLOSE], reply(503), reply(429, Retry_After="0")])
def test_an_outage_is_the_clients_to_tell(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture, fault: Reply
) -> None:
    server.on(TAKE, EMPTY, fault, fault, fault, act(server), EMPTY)
    made = rig()
    made.start()
    assert made.next_event()[0] == "Ok"
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    assert "cannot poll" not in caplog.text
    assert "flyte is away" in caplog.text


def test_a_lost_race_is_not_a_problem(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.on(TAKE, *[reply(500)] * CONTENTION_LIMIT, act(server), EMPTY)
    made = rig()
    made.start()
    assert made.next_event()[0] == "Ok"
    assert caplog.messages == []


def test_endless_lost_races_are_a_problem(rig: Rigs, server: ScriptedServer) -> None:
    server.on(TAKE, *[reply(500)] * (CONTENTION_LIMIT + 1), EMPTY)
    made = rig()
    made.start()
    words = f"was answered with 500, {CONTENTION_LIMIT} times in a row"
    wait_until(lambda: made.view("demo").problem.endswith(words), "the problem")
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    made.wait_idle()


def test_one_take_that_hangs_holds_up_no_other_pack(rig: Rigs, server: ScriptedServer) -> None:
    go_on = threading.Event()
    server.on(TAKE, [go_on, EMPTY])
    made = rig(plugins={"demo": PackPlugin(ECHO), "other": PackPlugin(ECHO, name="Other")})
    made.start()
    made.wait_for(TAKE, 1)
    seen = made.count("POST /v1/packs/Other/actions/take")
    made.wait_for("POST /v1/packs/Other/actions/take", seen + 10)
    assert made.count(TAKE) == 1
    go_on.set()
    made.wait_for(TAKE, 2)


def test_what_cannot_be_written_down_ends_as_a_fatal_and_is_not_run(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Then nothing is taken until the journal can be written again."""
    caplog.set_level(logging.INFO, "flyte_host")
    result = "POST /v1/packs/Demo/actions/a1/result"
    server.on(TAKE, act(server), act(server, 2))
    server.on(result, reply(202))
    ran: list[Any] = []

    def keep(value: Any) -> Event:
        ran.append(value)
        return OK()

    made = rig(Command("echo", keep, [OK]), slots=1, journal_pause_seconds=0.02)
    execute(tmp_path / "flyte-host.db", FILL)
    made.start()
    wait_until(lambda: "disk full" in made.view("demo").problem, "the problem")
    fatal = next(each for each in server.requests if each.path.endswith("/a1/result"))
    assert json.loads(fatal.body)["event"] == "FATAL"
    assert json.loads(fatal.body)["payload"] == "the host could not record 'echo'"
    assert ran == []
    made.wait_idle()
    journal, told = (each for each in caplog.records if each.levelname == "CRITICAL")
    assert journal.getMessage().startswith("no action is taken until the journal can be written: ")
    assert told.getMessage().startswith("echo ends as FATAL: journal ")
    assert vars(told)["action"] == "a1"
    looks: set[float] = set()

    def looks_again() -> bool:
        looks.add(made.view().due_at)
        return len(looks) > 5

    wait_until(looks_again, "it keeps looking")
    assert made.count(TAKE) == 1
    execute(tmp_path / "flyte-host.db", "DROP TRIGGER full")
    assert [made.next_event()[0] for _ in range(2)] == ["FATAL", "Ok"]
    wait_until(lambda: made.view("demo").problem == "", "no problem is left")
    assert "the journal can be written again" in caplog.messages


FILL = "CREATE TRIGGER full BEFORE INSERT ON action BEGIN SELECT RAISE(ABORT, 'disk full'); END"


def test_a_fatal_of_what_cannot_be_written_down_may_be_refused(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    server.on(TAKE, reply(200, action(server.url, "Demo", "a1")), EMPTY)
    made = rig()
    execute(tmp_path / "flyte-host.db", FILL)
    made.start()
    href = f"{server.url}/v1/packs/Demo/actions/a1/result"
    text = f"flyte did not accept the FATAL of echo: POST {href} was answered with 404"
    wait_until(lambda: text in caplog.messages, "the refusal is told")


def test_whatever_keeps_an_action_out_of_the_journal_ends_it(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise RuntimeError("the clock stopped")

    server.on(TAKE, act(server), EMPTY)
    made = rig()
    made.parts.journal.clock = Clock(now=broken)
    made.start()
    made.wait_for("POST /v1/packs/Demo/actions/a1/result", 1)
    # Only the log keeps it: the next poll, which finds nothing, may come before anybody looks.
    told = "cannot poll pack demo: internal error: the clock stopped"
    wait_until(lambda: told in caplog.messages, "the problem")
    made.wait_idle()


def labelled(env: str) -> PackPlugin:
    class Labelled(PackPlugin):
        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef("Demo", labels={"env": env, "a": "b"}, commands=[ECHO])

    return Labelled()


@pytest.mark.parametrize(
    ("name", "labels", "woken"),
    [
        ("Demo", {}, {"test", "live"}),
        ("Demo", {"env": "test"}, {"test"}),
        ("Demo", {"env": "test", "a": "b"}, {"test"}),
        ("Demo", {"env": "other"}, set()),
        ("Demo", {"more": "x"}, set()),
        ("Else", {}, set()),
    ],
)
def test_waking_polls_those_whom_an_action_may_be_for(
    rig: Rigs, server: ScriptedServer, name: str, labels: dict[str, str], woken: set[str]
) -> None:
    takes = {env: f"POST /v1/packs/Demo.a.b.env.{env}/actions/take" for env in ("test", "live")}
    other = "POST /v1/packs/Other/actions/take"
    for take in takes.values():
        server.on(take, EMPTY)
    plugins = {env: labelled(env) for env in takes} | {"other": PackPlugin(ECHO, name="Other")}
    made = rig(plugins=plugins, interval_seconds=60)
    made.start()
    wait_until(lambda: all(made.view(each).polled_at for each in plugins), "first polls")
    made.schedule.wake(name, labels)
    made.schedule.wake("Other", {})
    made.wait_for(other, 2)
    for env in woken:
        made.wait_for(takes[env], 2)
    assert {env for env, take in takes.items() if made.count(take) > 1} == woken


def test_a_hint_polls_packs_with_commands_soon(rig: Rigs) -> None:
    made = rig(
        plugins={"demo": PackPlugin(ECHO), "bare": PackPlugin(name="Bare")}, interval_seconds=60
    )
    made.start()
    wait_until(lambda: made.view("demo").polled_at, "the first poll")
    wait_until(lambda: made.view("bare").polled_at, "the first registration")
    made.schedule.hints.give("p")
    made.wait_for(TAKE, 5)
    assert made.count(REGISTER) == 2


def test_a_stop_waits_for_takes_under_way_and_runs_what_they_found(
    rig: Rigs, server: ScriptedServer
) -> None:
    go_on = threading.Event()
    server.on(TAKE, [go_on, act(server)])
    made = rig()
    made.start()
    made.wait_for(TAKE, 1)
    left: list[int] = []
    stop = threading.Thread(target=lambda: left.append(made.close()))
    stop.start()
    wait_until(lambda: made.schedule.stopping, "it stops")
    go_on.set()
    stop.join(10)
    assert left == [0]
    assert made.next_event()[0] == "Ok"
    assert made.count(TAKE) == 1


def test_a_take_that_does_not_return_is_told(
    rig: Rigs, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    server.on(TAKE, [go_on, EMPTY])
    made = rig()
    made.start()
    made.wait_for(TAKE, 1)
    made.close(0.05)
    go_on.set()
    assert caplog.messages[0].startswith("a take was still unanswered at the deadline")
    kept = [line for line in caplog.messages if line.startswith("stopped with")]
    assert kept == [], "the journal has nothing of it"


def test_a_stop_while_a_pack_registers_takes_nothing(rig: Rigs, server: ScriptedServer) -> None:
    """A take that begins after the stop would end as a FATAL that another host had run."""
    arrived, go_on = threading.Event(), threading.Event()

    def slowly(_: Seen) -> bytes:
        arrived.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return reply(201, registered(server.url, "Demo"))

    server.on(REGISTER, [slowly])
    made = rig()
    made.start()
    assert arrived.wait(10)
    made.schedule.stop()
    go_on.set()
    wait_until(lambda: made.parts.registrations.problem("demo") == "", "it is registered")
    wait_until(lambda: made.view().running == 0, "its turn is over")
    assert made.count(TAKE) == 0


@pytest.mark.parametrize("end", ["stop", "pause"])
def test_a_take_is_not_repeated_with_a_new_token_after_a_stop(
    rig: Rigs, server: ScriptedServer, end: str
) -> None:
    environ = {"T": "old"}
    arrived, go_on = threading.Event(), threading.Event()

    def slowly(_: Seen) -> bytes:
        arrived.set()
        assert go_on.wait(PATIENCE_SECONDS)
        environ["T"] = "new"
        return reply(401)

    server.on(TAKE, [slowly], act(server))
    made = rig(client=client_for(server.url, token=Token(SecretRef(env="T"), environ)))
    made.start()
    assert arrived.wait(PATIENCE_SECONDS)
    if end == "stop":
        made.schedule.stop()
    else:
        made.schedule.pause("demo")
    go_on.set()
    wait_until(lambda: made.view().running == 0, "its turn is over")
    assert made.count(TAKE) == 1


def test_a_pipeline_that_never_started_can_be_stopped(rig: Rigs) -> None:
    assert rig().close(0) == 0


def test_a_flyte_that_comes_later_is_found(tmp_path: Path) -> None:
    flyte = EmbeddedFlyte(":memory:")
    with port_of_nobody() as port:
        plugins = {"demo": PackPlugin(ECHO)}
        client = client_for(f"http://127.0.0.1:{port}")
        with ScriptedServer() as unused:
            rig = PipelineRig(unused, tmp_path / "flyte-host.db", plugins, client=client)
        rig.start()
        wait_until(lambda: rig.view("demo").problem, "flyte is missed")
        server = WebServer(flyte.asgi, ("127.0.0.1", port), name="flyte")
    try:
        server.start()
        wait_until(lambda: rig.view("demo").polled_at, "flyte is found")
        assert rig.parts.registrations.problem("demo") == ""
        rig.close()
        server.stop()
    finally:
        flyte.close()


COUNTED = EventDef("Counted")


class CountingPack:
    """Counts its runs by input; ``settings`` say who it is."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._me = settings.get("me")

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Counting", commands=[Command("count", self.count, [COUNTED])])

    def count(self, input: int) -> Event:
        return COUNTED({"n": input, "by": self._me})


RunHost = Callable[..., RunningHost]


def counted(flyte: FlyteServer, wanted: int) -> list[tuple[str, int, Any]]:
    """Who counted what for which pack, once there are so many."""

    def look() -> list[tuple[str, int, Any]]:
        found = [
            (pack, payload["n"], payload["by"])
            for pack, name, payload in flyte.events()
            if name == "Counted"
        ]
        return found if len(found) >= wanted else []

    return wait_until(look, f"{wanted} results")


def test_two_hosts_with_one_pack_share_its_actions(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    for me in ("one", "two"):
        flyte_run_host(
            {"counting": CountingPack},
            {"counting": {"settings": {"me": me}}},
            poll_interval_seconds=0.2,
        )
    for number in range(100):
        flyte_server.queue("Counting", "count", number)
    found = counted(flyte_server, 100)
    assert Counter(number for _, number, _ in found) == Counter(range(100))
    assert {by for _, _, by in found} == {"one", "two"}


def test_a_hundred_packs_of_one_plugin_are_served_by_few_threads(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    before = threading.active_count()
    packs = {
        f"p{number}": {"plugin": "counting", "name": f"C{number}", "settings": {"me": number}}
        for number in range(100)
    }
    running = flyte_run_host({"counting": CountingPack}, packs, wait_ready=False)
    running.wait_ready()
    assert set(flyte_server.packs()) >= {f"C{number}" for number in range(100)}
    wait_until(lambda: threading.active_count() < before + 40, "idle packs need no threads")
    for number in range(100):
        flyte_server.queue(f"C{number}", "count", number)
    found = counted(flyte_server, 100)
    assert sorted(found) == sorted((f"C{number}", number, number) for number in range(100))


def test_a_paused_pack_stays_registered_and_takes_nothing(
    rig: Rigs, server: ScriptedServer
) -> None:
    made = rig(ECHO, keep_alive_seconds=0.05)
    made.start()
    made.wait_for(TAKE, 2)
    made.schedule.pause("demo")
    registered = made.count(REGISTER)
    made.wait_for(REGISTER, registered + 1)
    taken_so_far = made.count(TAKE)
    made.wait_for(REGISTER, registered + 4)
    assert made.count(TAKE) == taken_so_far
    assert made.view("demo").paused_since is not None
    made.schedule.resume("demo")
    made.wait_for(TAKE, taken_so_far + 2)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_pause_while_a_turn_is_under_way(
    rig: Rigs, server: ScriptedServer, resumed: bool
) -> None:
    """It begins no take; and if the pack is resumed before the turn is over, polls go on."""
    arrived, go_on = threading.Event(), threading.Event()

    def slowly(seen: Seen) -> bytes:
        arrived.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return reply(201, registered(server.url, "Demo"))

    server.on(REGISTER, [slowly])
    made = rig(ECHO)
    if resumed:
        made.schedule.pause("demo")
    made.start()
    assert arrived.wait(PATIENCE_SECONDS)
    if resumed:
        made.schedule.resume("demo")
        go_on.set()
        made.wait_for(TAKE, 2)
    else:
        made.schedule.pause("demo")
        go_on.set()
        wait_until(lambda: made.parts.registrations.problem("demo") == "", "it is registered")
        wait_until(lambda: made.view().running == 0, "its turn is over")
        assert made.count(TAKE) == 0
