"""The parts together: a stop loses nothing, and a start takes care of what was left."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.client.configured_conversation import make_conversation
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.clock import Clock
from flyte_host.config import FlyteConfig
from flyte_host.counters import Counters
from flyte_host.errors import ConfigError, FlyteUnauthorized
from flyte_host.pipeline.journal import Journal, JournalError
from flyte_host.pipeline.parts import make_parts
from flyte_host.pipeline.pipeline import Pipeline
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.workers.recovery import CUT_OFF
from flyte_host.secrets import Scrubber, SecretRef
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.host_parts import ECHO, OK, ObservingPlugin, PackPlugin, flyte_script
from tests.support.journal_file import states
from tests.support.scripted_server import ScriptedServer, Seen, action, reply
from tests.support.served_packs import served_packs

RunHost = Callable[..., RunningHost]


class Gates:
    """A pack whose handlers wait until the test lets them go on."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()

    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("once", self.wait, [OK]),
            Command("again", self.wait, [OK], idempotent=True),
            Command("aecho", self.aecho, [OK]),
        ]
        return PackDef("Demo", commands=commands)

    def wait(self, input: Any, action: Any) -> Event:
        self.arrived.release()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return OK({"input": input, "attempt": action.attempt})

    async def aecho(self, input: Any) -> Event:
        return OK(input)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE_SECONDS)


@pytest.fixture
def gates() -> Iterator[Gates]:
    made = Gates()
    yield made
    made.go_on.set()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_a_stop_amid_twenty_running_actions_loses_none(
    flyte_server: FlyteServer, flyte_run_host: RunHost, gates: Gates, state: Path
) -> None:
    running = flyte_run_host({"demo": gates}, {"demo": {"max_concurrent": 20}}, state=state)
    flows = [flyte_server.queue("Demo", "once", number) for number in range(20)]
    gates.wait_for(20)
    health_url = running.health_url
    left: list[int] = []
    stop = threading.Thread(target=lambda: left.append(running.stop()))
    stop.start()
    ready = f"{health_url}/ready"
    wait_until(
        lambda: requests.get(ready, timeout=PATIENCE_SECONDS).status_code == 503, "it is stopping"
    )
    late = flyte_server.queue("Demo", "once", "late")
    gates.go_on.set()
    stop.join(PATIENCE_SECONDS)
    assert left == [0]
    for number, flow in enumerate(flows):
        finished = flyte_server.finished(flow)
        assert (finished.state, finished.payload["input"]) == ("SUCCESS", number)
    with pytest.raises(AssertionError, match="not within"):
        flyte_server.finished(late, timeout_seconds=0.05)  # it waits for the next host
    assert {name for _, name, _ in states(state)} == {"delivered"}
    Journal(state, Clock()).close()


def test_the_next_start_ends_what_a_stop_cut_off(
    flyte_server: FlyteServer,
    flyte_run_host: RunHost,
    gates: Gates,
    state: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = flyte_run_host({"demo": gates}, state=state)
    once = flyte_server.queue("Demo", "once", 1)
    again = flyte_server.queue("Demo", "again", 2)
    gates.wait_for(2)
    assert first.stop(drain_seconds=0.05) == 2
    text = "stopped with 2 actions running: the journal keeps them"
    assert text in caplog.messages
    next_gates = Gates()
    next_gates.go_on.set()
    flyte_run_host({"demo": next_gates}, state=state)
    assert flyte_server.finished(once).payload == CUT_OFF
    assert flyte_server.finished(again).payload == {"input": 2, "attempt": 2}
    assert flyte_server.run("Demo", "once", 3).payload == {"input": 3, "attempt": 1}


VICTIM = """
import sys, threading
from pathlib import Path
from tests.pipeline.test_pipeline import Gates, pipeline_for

class Telling(Gates):
    def wait(self, input, action):
        print(action.command, flush=True)
        threading.Event().wait()

url, state = sys.argv[1:]
pipeline_for(url, Path(state), demo=Telling()).start()
threading.Event().wait()
"""


def test_the_next_start_ends_what_a_kill_cut_off(
    flyte_server: FlyteServer, flyte_run_host: RunHost, gates: Gates, state: Path
) -> None:
    once = flyte_server.queue("Demo", "once", 1)
    again = flyte_server.queue("Demo", "again", 2)
    command = [sys.executable, "-c", VICTIM, flyte_server.url, str(state)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as victim:
        assert victim.stdout is not None
        running = {victim.stdout.readline().strip() for _ in range(2)}
        victim.kill()
    assert running == {"once", "again"}
    gates.go_on.set()
    flyte_run_host({"demo": gates}, state=state)
    assert flyte_server.finished(once).payload == CUT_OFF
    assert flyte_server.finished(again).payload == {"input": 2, "attempt": 2}


def test_what_could_not_be_delivered_is_delivered_by_the_next_start(
    flyte_server: FlyteServer, flyte_run_host: RunHost, state: Path
) -> None:
    """The first host meets a flyte that takes nothing, the second one the real one."""
    with ScriptedServer() as deaf:
        flyte_script(deaf, "Demo")
        deaf.on("POST /v1/packs/Demo/events", reply(500))
        tick = EventDef("Tick")
        pipeline = pipeline_for(
            deaf.url, state, demo=ObservingPlugin(lambda emit, _: emit(tick(7)), event_defs=[tick])
        )
        pipeline.start()
        deaf.wait_for(3)
        assert pipeline.stop(time.monotonic() + 0.2) == 1
    flyte_run_host({"demo": PackPlugin()}, state=state)
    assert flyte_server.wait_for_event("Demo", "Tick") == 7


def test_what_could_not_be_delivered_follows_flyte_to_its_new_address(state: Path) -> None:
    result = "POST /v1/packs/Demo/actions/a1/result"
    with ScriptedServer() as old:
        flyte_script(old, "Demo")
        take = "POST /v1/packs/Demo/actions/take"
        old.on(take, reply(200, action(old.url, "Demo", "a1", input=7)), reply(204))
        old.on(result, reply(401))
        pipeline = pipeline_for(old.url, state)
        pipeline.start()
        wait_until(lambda: any(f"{each.method} {each.path}" == result for each in old.requests), "")
        assert pipeline.stop(time.monotonic() + 0.2) == 1
    with ScriptedServer() as new:
        flyte_script(new, "Demo")
        new.on(result, reply(202))
        pipeline = pipeline_for(new.url, state)
        pipeline.start()
        wait_until(lambda: states(state) == [(1, "delivered", "")], "it is delivered")
        assert pipeline.stop(time.monotonic() + 10) == 0


def pipeline_for(url: str, state: Path, **plugins: object) -> Pipeline:
    scrubber, clock = Scrubber(), Clock()
    config = host_config(url, state, {}, {})
    served = served_packs(plugins or {"demo": PackPlugin(ECHO)}, {}, scrubber)
    return Pipeline(
        make_parts(
            config,
            url,
            served,
            Schedule(0.05, clock),
            scrubber,
            {},
            clock=clock,
            watch=ThreadWatch(),
        )
    )


def test_a_second_stop_does_nothing(
    flyte_server: FlyteServer, flyte_run_host: RunHost, gates: Gates
) -> None:
    running = flyte_run_host({"demo": gates})
    assert flyte_server.run("Demo", "aecho", 1).payload == 1
    assert running.stop() == 0
    assert running.stop() == 0


def test_a_pipeline_that_never_started_can_be_stopped(state: Path) -> None:
    before = set(threading.enumerate())
    pipeline = pipeline_for("http://127.0.0.1:1", state)
    assert pipeline.stop(time.monotonic()) == 0
    Journal(state, Clock()).close()
    assert set(threading.enumerate()) <= before


def threads_but_flytes() -> set[threading.Thread]:
    """The server of the tests makes threads as it needs them, and keeps them."""
    return {each for each in threading.enumerate() if not each.name.startswith("flyte for tests")}


def test_a_stopped_pipeline_leaves_no_thread(flyte_server: FlyteServer, state: Path) -> None:
    before = threads_but_flytes()
    pipeline = pipeline_for(flyte_server.url, state, demo=Gates())
    pipeline.start()
    flyte_server.run("Demo", "aecho", 1)
    assert pipeline.stop(time.monotonic() + 10) == 0
    assert pipeline.stop(time.monotonic() + 10) == 0  # a second time does nothing
    wait_until(lambda: threads_but_flytes() <= before, "no thread is left")


def test_a_start_that_fails_can_be_stopped(state: Path) -> None:
    pipeline = pipeline_for("http://127.0.0.1:1", state)
    db = sqlite3.connect(state)
    db.execute("ALTER TABLE event RENAME TO hidden")
    with pytest.raises(JournalError, match="no such table: event"):
        pipeline.start()
    assert pipeline.stop(time.monotonic()) == 0
    db.execute("ALTER TABLE hidden RENAME TO event")
    db.close()
    Journal(state, Clock()).close()


def test_a_state_that_another_host_uses_is_refused(
    flyte_server: FlyteServer, flyte_run_host: RunHost, state: Path
) -> None:
    flyte_run_host({"demo": PackPlugin(ECHO)}, state=state)
    with pytest.raises(JournalError, match="another flyte-host uses it"):
        flyte_run_host({"demo": PackPlugin(ECHO)}, state=state)


def test_a_recovery_that_fails_does_not_stop_the_host(
    flyte_server: FlyteServer,
    flyte_run_host: RunHost,
    gates: Gates,
    state: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = flyte_run_host({"demo": gates}, state=state)
    flyte_server.queue("Demo", "once", 1)
    gates.wait_for(1)
    assert first.stop(drain_seconds=0) == 1
    db = sqlite3.connect(state)
    db.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON action WHEN OLD.number = 1"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    db.close()
    flyte_run_host({"demo": Gates()}, state=state)
    text = "actions left open by the last run stay open until the next start: "
    assert any(each.startswith(text) for each in caplog.messages)
    assert flyte_server.run("Demo", "aecho", 5).payload == 5


def test_an_observer_that_ignores_the_stop_is_named_and_not_waited_for(
    flyte_server: FlyteServer, flyte_run_host: RunHost, caplog: pytest.LogCaptureFixture
) -> None:
    release, started = threading.Event(), threading.Event()

    def observe(emit: Any, stopping: threading.Event) -> None:
        started.set()
        release.wait(PATIENCE_SECONDS)

    running = flyte_run_host({"demo": ObservingPlugin(observe, ECHO)})
    assert started.wait(PATIENCE_SECONDS)
    assert running.stop(drain_seconds=0.2) == 0
    text = "demo observes demo did not return when it was asked to stop"
    assert text in caplog.messages
    release.set()


def test_a_last_event_of_an_observer_is_delivered(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    bye, started = EventDef("Bye"), threading.Event()

    def observe(emit: Any, stopping: threading.Event) -> None:
        started.set()
        stopping.wait(PATIENCE_SECONDS)
        emit(bye())

    running = flyte_run_host({"demo": ObservingPlugin(observe, ECHO, event_defs=[bye])})
    assert started.wait(PATIENCE_SECONDS)
    assert running.stop() == 0
    assert ("Demo", "Bye", None) in flyte_server.events()


def test_a_pack_that_flyte_forgot_is_served_again(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    flyte_run_host({"demo": PackPlugin(ECHO)}, poll_interval_seconds=0.1)
    flyte_server.forget("Demo")
    wait_until(lambda: "Demo" in flyte_server.packs(), "it is registered again", look_seconds=0.2)
    assert flyte_server.run("Demo", "echo", 1).payload == 1


def test_a_result_of_a_pack_forgotten_meanwhile_arrives(
    flyte_server: FlyteServer, flyte_run_host: RunHost, gates: Gates
) -> None:
    flyte_run_host({"demo": gates}, {"demo": {"max_concurrent": 1}}, poll_interval_seconds=60)
    flow = flyte_server.queue("Demo", "once", 1)
    gates.wait_for(1)
    flyte_server.forget("Demo")
    gates.go_on.set()
    assert flyte_server.finished(flow).state == "SUCCESS"


def test_all_threads_without_which_it_is_dead_are_watched(
    flyte_server: FlyteServer, state: Path
) -> None:
    pipeline = pipeline_for(flyte_server.url, state, demo=Gates())
    pipeline.start()
    flyte_server.run("Demo", "aecho", 1)
    names = {name for name in pipeline.parts.watch.living if not name.startswith("worker-")}
    assert names == {
        *(f"courier-{n}" for n in range(4)), "deadlines", "coroutines of demo", "loop-watchdog",
        "wake listener",
    }  # fmt: skip
    assert any(name.startswith("worker-") for name in pipeline.parts.watch.living)
    assert pipeline.stop(time.monotonic() + 10) == 0


def made(flyte: FlyteConfig, url: str, scrubber: Scrubber, environ: dict[str, str]) -> FlyteClient:
    clock = Clock()
    conversation = make_conversation(flyte, url, scrubber, environ, clock=clock)
    return FlyteClient(conversation, Counters(), clock)


def test_a_client_is_made_as_configured() -> None:
    def answer(seen: Seen) -> bytes:
        return reply(200 if seen.headers.get("authorization") == "Bearer tok-en-1" else 401)

    scrubber = Scrubber()
    with ScriptedServer() as server:
        flyte_script(server)
        server.on("GET /health", [answer])
        flyte = FlyteConfig(url=server.url, token=SecretRef(env="TOKEN"))
        client = made(flyte, server.url, scrubber, {"TOKEN": "tok-en-1"})
        client.health()
        client.close()
        client = made(FlyteConfig(url=server.url), server.url, scrubber, {})
        with pytest.raises(FlyteUnauthorized):
            client.health()
        client.close()
    assert scrubber.scrub("Bearer tok-en-1") == "Bearer ***"


def test_a_token_that_is_missing_is_a_problem_of_the_configuration() -> None:
    flyte = FlyteConfig(url="http://127.0.0.1:1", token=SecretRef(env="TOKEN"))
    with pytest.raises(ConfigError) as refused:
        made(flyte, "http://127.0.0.1:1", Scrubber(), {})
    assert refused.value.problems == [
        "flyte.token: the environment variable TOKEN is not set, expected a secret"
    ]


def test_a_pipeline_without_its_flyte_starts_and_stops(state: Path) -> None:
    pipeline = pipeline_for("http://127.0.0.1:1", state)
    pipeline.start()
    parts = pipeline.parts
    wait_until(lambda: parts.outage.since is not None, "flyte is missed")
    assert pipeline.stop(time.monotonic() + 10) == 0
    assert "registration failed" in parts.registrations.problem("demo")
