"""What Prometheus reads of a host, well and ill; the page is read by Prometheus' own parser."""

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host import Command, Event, Health, HealthCheck, fatal_event
from flyte_host.config import EmbeddedConfig, FlyteConfig
from flyte_host.health.metrics import METRICS, PREFIX
from flyte_host.health.pages import HealthApp
from flyte_host.health.prometheus import JOURNAL_SECONDS, Metrics
from flyte_host.host.host import Host
from flyte_host.pipeline.journal import JournalError
from flyte_host.pipeline.workers.recovery import recover
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config, install
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.asgi import ask_app
from tests.support.health_rig import FlyteOfSize, HealthRig, health_app
from tests.support.host_parts import ECHO, OK, ObservingPlugin, PackPlugin, flyte_script, taken
from tests.support.journal_file import hide, show, write_result, write_taken
from tests.support.scrapes import OPENMETRICS, Scrape, read_page, scrape
from tests.support.scripted_server import CLOSE, HANG, ScriptedServer, action, reply

TAKE = "POST /v1/packs/Demo/actions/take"
EVENTS = "POST /v1/packs/Demo/events"
RESULT = "POST /v1/packs/Demo/actions/a1/result"
Rigs = Callable[..., HealthRig]
RunHost = Callable[..., RunningHost]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other")
        running.on("GET /health", reply(200))
        yield running


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    """Parts of which none runs but those that a test starts."""
    made: list[HealthRig] = []

    def make(packs: Mapping[str, Mapping[str, Any]] | None = None, **plugins: object) -> HealthRig:
        state = tmp_path / "flyte-host.db"
        made.append(HealthRig(server, state, plugins or {"demo": PackPlugin(ECHO)}, packs))
        return made[-1].watch()

    yield make
    for each in made:
        each.close()


@pytest.fixture
def host(server: ScriptedServer, tmp_path: Path) -> Iterator[RunHost]:
    """A host at the scripted flyte."""
    made: list[RunningHost] = []

    def run(**plugins: object) -> RunningHost:
        table = {"poll_interval_seconds": 0.05}
        config = host_config(server.url, tmp_path / f"state-{len(made)}.db", {}, table)
        found = install(plugins or {"demo": PackPlugin(ECHO)})
        made.append(RunningHost(Host(config, found, os.environ, Scrubber())))
        made[-1].host.start()
        return made[-1]

    yield run
    for each in made:
        each.stop(0)


def look(app: HealthApp, accept: str = "") -> Scrape:
    status, headers, body = ask_app(app, "/metrics", headers={"Accept": accept})
    assert status == 200
    return read_page(headers["Content-Type"], body.decode())


def wait_for(running: RunningHost, what: Callable[[Scrape], object]) -> Scrape:
    """The first page for which this holds."""
    pages = [scrape(running.health_url)]

    def found() -> object:
        pages[:] = [scrape(running.health_url)]
        return what(pages[0])

    try:
        wait_until(found, "the numbers", look_seconds=0.1)
    except AssertionError:
        raise AssertionError(pages[0].families) from None
    return pages[0]


# The page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_every_metric_is_told_with_kind_and_meaning(flyte_run_host: RunHost, accept: str) -> None:
    running = flyte_run_host({"demo": PackPlugin(ECHO)})
    page = scrape(running.health_url, accept)
    ours = {name: each for name, each in page.families.items() if not name.startswith("process_")}
    told = [(name, each.type, each.documentation) for name, each in ours.items()]
    assert told == [(each.name.removesuffix("_total"), each.kind, each.meaning) for each in METRICS]
    assert page.families["process_cpu_seconds"].samples[0].value > 0


def test_labels_are_those_declared(flyte_run_host: RunHost, flyte_server: FlyteServer) -> None:
    plugins = {"demo": PackPlugin(ECHO), "tried": "tests.support.isolated_pack:Pack"}
    running = flyte_run_host(plugins, {"tried": {"isolation": "process"}})
    flyte_server.run("Demo", "echo")
    page = scrape(running.health_url)
    for metric in METRICS:
        samples = page.families[metric.name.removesuffix("_total")].samples
        assert samples or metric.name == "embedded_store_bytes"  # there is none in this host
        found = {frozenset(each.labels) - {"le"} for each in samples}
        assert found <= {frozenset(metric.labels)}


def test_the_size_of_embedded_flytes_store(tmp_path: Path) -> None:
    config = replace(
        host_config("", tmp_path / "state.db", {}, {}),
        flyte=FlyteConfig(url=None),
        embedded=EmbeddedConfig("127.0.0.1:0", tmp_path / "flyte.db"),
    )
    running = RunningHost(Host(config, [], os.environ, Scrubber()))
    running.host.start()
    try:
        before = scrape(running.health_url)("embedded_store_bytes")
        url = f"{running.host.flyte_url}/v1/datastore/k"
        item = {"value": ("f", b"x" * 2_000_000)}
        assert requests.put(url, files=item, timeout=PATIENCE_SECONDS).ok
        after = scrape(running.health_url)("embedded_store_bytes")
        assert after > before + 1_900_000
        line = running.page("/ready")[1]["checks"]["store"]
        assert (line["healthy"], line["critical"]) == (True, False)
        assert line["reason"] == f"{after / 1_000_000:,.1f} MB"
    finally:
        running.stop(0)


def test_a_store_that_cannot_be_read_has_no_size(rig: Rigs) -> None:
    made = rig()
    made.app.watch(made.parts, FlyteOfSize(lambda: 1 // 0))
    assert not look(made.app).has("embedded_store_bytes")
    made.app.watch(made.parts, FlyteOfSize(lambda: 7))
    assert look(made.app)("embedded_store_bytes") == 7


def test_the_format_is_the_one_asked_for(rig: Rigs) -> None:
    app = rig().app
    status, headers, body = ask_app(app, "/metrics")
    assert status == 200
    assert headers == {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    assert ask_app(app, "/metrics", "HEAD")[2] == b""
    assert not body.endswith(b"# EOF\n")


def test_openmetrics_ends_with_its_mark(host: RunHost) -> None:
    answer = requests.get(
        f"{host().health_url}/metrics", headers={"Accept": OPENMETRICS}, timeout=PATIENCE_SECONDS
    )
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_a_slow_bucket_names_a_trace_in_openmetrics(rig: Rigs) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made = rig()
    made.parts.counters.ended("demo", "echo", "success", 0.02, f"{parent} vendor=1")
    families = look(made.app, OPENMETRICS).families
    buckets = [
        each for each in families["handler_duration_seconds"].samples if each.exemplar is not None
    ]
    assert [(each.labels["le"], each.exemplar.labels, each.exemplar.value) for each in buckets] == [
        ("0.05", {"trace_id": parent[3:35], "span_id": parent[36:52]}, 0.02)
    ]
    assert look(made.app)("handler_duration_seconds_count", pack="demo", command="echo") == 1


def test_before_the_engine_runs_there_is_the_process_alone() -> None:
    page = look(health_app())
    assert page.families.keys() == {
        "process_virtual_memory_bytes", "process_resident_memory_bytes",
        "process_start_time_seconds", "process_cpu_seconds", "process_open_fds", "process_max_fds",
    }  # fmt: skip


def test_it_asks_neither_flyte_nor_checks(rig: Rigs, server: ScriptedServer) -> None:
    asked: list[object] = []

    def check() -> Health:
        asked.append(1)
        return Health(True, "")

    app = rig(demo=PackPlugin(ECHO, checks=[HealthCheck("Counts", check)])).app
    look(app)
    assert asked == []
    assert server.requests == []


def test_secrets_are_hidden_and_no_series_comes_twice(rig: Rigs) -> None:
    made = rig(jira=PackPlugin(ECHO), shell=PackPlugin(ECHO, name="Other"))
    made.parts.counters.ended("jira", "echo", "success", 1)
    made.parts.counters.ended("shell", "echo", "success", 2)
    assert look(made.app).all("actions_ended_total") == {
        ("echo", "success", "jira"): 1,
        ("echo", "success", "shell"): 1,
    }
    for each in ("jira", "shell", "success", "loaded"):
        made.scrubber.learn(each)
    page = look(made.app)
    assert page.all("actions_ended_total") == {
        ("echo", "success", "***"): 1,
        ("echo", "success", "*** (2)"): 1,
    }
    assert page("slots", pack="***") == page("slots", pack="*** (2)") == 16
    assert page("plugins", status="loaded") == 2  # the host's own words are not secrets
    _, _, body = ask_app(made.app, "/metrics")
    assert b"jira" not in body


def test_two_hosts_of_one_process_do_not_mix(host: RunHost, server: ScriptedServer) -> None:
    server.on("POST /v1/packs/Other/actions/take", [CLOSE])
    well, ill = host(demo=PackPlugin(ECHO)), host(other=PackPlugin(ECHO, name="Other"))
    wait_for(ill, lambda page: not page("flyte_reachable"))
    page = wait_for(well, lambda page: page("takes_total", pack="demo", result="empty") > 3)
    assert page("flyte_reachable") == 1
    assert page("takes_total", pack="demo", result="outage") == 0
    assert not page.has("slots", pack="other")


# Counted as it happens ---------------------------------------------------------------------------


def test_how_actions_end(flyte_run_host: RunHost, flyte_server: FlyteServer) -> None:
    release = threading.Event()

    def stuck(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    def own(input: Any) -> Event:
        return fatal_event("no")

    def typed(input: int) -> Event:
        raise AssertionError(input)

    commands = [ECHO, Command("own", own, [OK]), Command("typed", typed, [OK])]
    commands.append(Command("stuck", stuck, [OK], timeout_seconds=0.05))
    running = flyte_run_host({"demo": PackPlugin(*commands)})
    for command, number in {"echo": 2, "own": 1, "typed": 1, "stuck": 1, "made-up": 1}.items():
        for _ in range(number):
            flyte_server.run("Demo", command, "x")
    page = wait_for(running, lambda page: page("takes_total", pack="demo", result="action") == 6)
    assert page.all("actions_ended_total") == {
        ("echo", "success", "demo"): 2,
        ("own", "fatal", "demo"): 1,
        ("typed", "fatal", "demo"): 1,
        ("stuck", "timeout", "demo"): 1,
        ("unknown", "fatal", "demo"): 1,
    }
    durations = page.all("handler_duration_seconds_count")
    assert durations == {("echo", "demo"): 2, ("own", "demo"): 1, ("typed", "demo"): 1,
                         ("stuck", "demo"): 1}  # fmt: skip
    assert page("handler_duration_seconds_sum", pack="demo", command="stuck") >= 0.05
    assert page("handler_duration_seconds_bucket", pack="demo", command="stuck", le="0.01") == 0
    assert page("handler_duration_seconds_bucket", pack="demo", command="stuck", le="+Inf") == 1
    assert page("stuck_handlers", pack="demo") == 1
    release.set()
    wait_for(running, lambda page: page("stuck_handlers", pack="demo") == 0)


def test_an_action_that_a_restart_cut_off_ends_as_fatal(rig: Rigs) -> None:
    made = rig()
    write_taken(made.journal, "demo", "Demo", taken())
    recover(made.parts.runner, made.schedule)
    page = look(made.app)
    assert page.all("actions_ended_total") == {("echo", "fatal", "demo"): 1}
    assert page.all("handler_duration_seconds_count") == {}


KINDS: dict[str, Any] = {
    "contention": reply(500),
    "outage": [CLOSE],
    "unauthorized": reply(401, WWW_Authenticate='Bearer error="invalid_token"'),
    "forgotten": reply(404),
    "refused": reply(400),
    "bad_answer": reply(200, b"<html>"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_trouble_has_its_own_label(
    server: ScriptedServer, host: RunHost, kind: str
) -> None:
    server.on(TAKE, KINDS[kind])
    running = host()
    page = wait_for(running, lambda page: page("takes_total", pack="demo", result=kind) >= 2)
    assert page.all("takes_total").keys() == {("demo", kind)}
    word = {"contention": "failed", "forgotten": "unknown"}.get(kind, kind)
    assert page("flyte_calls_total", call="take", answer=word) >= 2
    assert page("flyte_reachable") == (kind != "outage")
    server.on(TAKE, reply(204))
    wait_for(running, lambda page: page("takes_total", pack="demo", result="empty"))


def test_how_deliveries_go(server: ScriptedServer, host: RunHost) -> None:
    server.on(TAKE, reply(200, action(server.url, "Demo", "a1")), reply(204))
    server.on(RESULT, reply(500), reply(202))
    server.on("GET /v1/audit/flows", reply(200, b'{"flows": []}'))
    server.on(EVENTS, reply(202), reply(503), reply(202), reply(400))

    def observe(emit: Callable[[Event], None], stopping: threading.Event) -> None:
        for _ in range(3):
            emit(OK())

    running = host(demo=ObservingPlugin(observe, ECHO, event_defs=[OK]))
    page = wait_for(
        running,
        lambda page: (
            page("deliveries_total", pack="demo", kind="event", outcome="parked")
            and page("deliveries_total", pack="demo", kind="result", outcome="accepted")
        ),
    )
    numbers = page.all("deliveries_total")
    assert numbers.pop(("event", "retried", "demo")) >= 1
    assert numbers.pop(("result", "retried", "demo")) >= 1
    assert numbers == {
        ("result", "accepted", "demo"): 1,
        ("event", "accepted", "demo"): 2,
        ("event", "parked", "demo"): 1,
    }
    assert page.all("events_raised_total") == {("demo",): 3}
    assert page("journal_entries", state="parked") == 1
    assert page("deliveries_waiting", pack="demo") == 0


def test_a_result_that_had_arrived_already_is_accepted(
    server: ScriptedServer, host: RunHost
) -> None:
    server.on(TAKE, reply(200, action(server.url, "Demo", "a1")), reply(204))
    server.on(RESULT, reply(500))
    found = b'{"flows": [{"actions": {"run": {"id": "a1", "state": {"value": "SUCCESS"}}}}]}'
    server.on("GET /v1/audit/flows", reply(200, found))
    page = wait_for(host(), lambda page: page.all("deliveries_total"))
    assert page.all("deliveries_total") == {("result", "accepted", "demo"): 1}


def test_a_blocker_of_coroutines_is_counted_by_the_configured_name(
    flyte_run_host: RunHost, flyte_server: FlyteServer
) -> None:
    release = threading.Event()

    async def freeze(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    async def leave(input: Any) -> Event:
        loop = asyncio.get_running_loop()
        threading.Thread(target=loop.call_soon_threadsafe, args=(release.wait, 20)).start()
        return OK()

    plugin = PackPlugin(Command("freeze", freeze, [OK]), Command("leave", leave, [OK]))
    running = flyte_run_host({"first": plugin, "other": PackPlugin(ECHO, name="Other")})
    flow = flyte_server.queue("Demo", "freeze")
    page = wait_for(running, lambda page: page("loop_blocked", pack="first"))
    assert page.all("loop_blockages_total") == {("first",): 1}
    release.set()
    flyte_server.finished(flow)
    wait_for(running, lambda page: not page("loop_blocked", pack="first"))
    release.clear()
    flyte_server.run("Demo", "leave")
    page = wait_for(running, lambda page: page("loop_blocked", pack="first"))
    assert page.all("loop_blockages_total") == {("first",): 2}
    release.set()


def test_extra_polls_are_those_after_a_hint(rig: Rigs) -> None:
    made = rig()
    made.poll_once()
    assert look(made.app)("extra_polls_total") == 0
    made.schedule.hints.give("p")
    made.hand.seconds += 0.1
    made.schedule.hints.give("p")  # wakes a worker, whose clock was moved
    wait_until(lambda: look(made.app)("extra_polls_total") == 1, "an extra poll")


# Read when it is asked for -----------------------------------------------------------------------


def test_a_healthy_host(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(name="Other"))
    made.poll_once()
    made.hand.seconds += 0.5  # not as long as the interval: nothing is due
    page = look(made.app)
    for pack in ("demo", "other"):
        assert page("pack_registered", pack=pack) == 1
        assert page("pack_paused", pack=pack) == page("pack_quarantined", pack=pack) == 0
        assert (page("slots", pack=pack), page("slots_in_use", pack=pack)) == (16, 0)
    assert page("last_poll_age_seconds", pack="demo") == 0.5
    assert not page.has("last_poll_age_seconds", pack="other")  # it has no commands
    assert (page("flyte_reachable"), page("flyte_away_seconds")) == (1, 0)
    assert page("journal_usable") == 1
    assert page("journal_oldest_waiting_seconds") == 0
    assert page.all("journal_entries") == {}
    assert page("threads", state="alive") == len(made.parts.watch.living)
    assert page.all("plugins") == {("loaded",): 2}


def test_a_pack_that_is_not_registered_and_never_polled(rig: Rigs) -> None:
    page = look(rig().app)
    assert page("pack_registered", pack="demo") == 0
    assert not page.has("last_poll_age_seconds", pack="demo")


def test_flyte_is_away(rig: Rigs) -> None:
    made = rig()
    made.parts.outage.failed("no wire")
    made.hand.seconds += 90
    page = look(made.app)
    assert (page("flyte_reachable"), page("flyte_away_seconds")) == (0, 90)


def test_a_paused_pack(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(ECHO, name="Other"))
    made.schedule.pause("demo")
    page = look(made.app)
    assert page.all("pack_paused") == {("demo",): 1}


def test_slots_and_a_quarantine(rig: Rigs) -> None:
    release = threading.Event()

    def stuck(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    command = Command("stuck", stuck, [OK], timeout_seconds=0.05)
    made = rig({"demo": {"max_concurrent": 2}}, demo=PackPlugin(command))
    turn = made.turn()
    assert turn.may_begin()
    assert look(made.app)("slots_in_use", pack="demo") == 1
    turn.empty()
    made.rig.start()
    made.rig.submit(1, "stuck")
    wait_until(
        lambda: made.tick() and look(made.app)("stuck_handlers", pack="demo") == 1, "one is stuck"
    )
    assert look(made.app)("pack_quarantined", pack="demo") == 0
    made.rig.submit(2, "stuck")
    wait_until(
        lambda: made.tick() and look(made.app)("pack_quarantined", pack="demo") == 1, "a quarantine"
    )
    assert look(made.app)("slots", pack="demo") == 2
    release.set()
    wait_until(lambda: look(made.app)("pack_quarantined", pack="demo") == 0, "its end")


def test_what_waits_and_since_when(rig: Rigs) -> None:
    made = rig()
    write_taken(made.journal, "demo", "Demo", taken(1))
    write_result(made.journal, write_taken(made.journal, "demo", "Demo", taken(2)), b"{}")
    made.parts.deliveries.add(made.journal.emit("demo", b"{}"))
    made.journal.park(made.journal.emit("demo", b"{}"), "400")
    made.now += timedelta(seconds=90)
    page = look(made.app)
    assert page.all("journal_entries") == {
        ("taken",): 1, ("result",): 1, ("event",): 1, ("parked",): 1,
    }  # fmt: skip
    assert page("journal_oldest_waiting_seconds") == 90
    made.now -= timedelta(days=365)
    assert look(made.app)("journal_oldest_waiting_seconds") == 0, "the time of day was set back"
    assert page("deliveries_waiting", pack="demo") == 1


def test_a_journal_that_cannot_be_read(rig: Rigs) -> None:
    made = rig()
    made.journal.close()
    page = look(made.app)
    assert page("journal_usable") == 0
    assert not page.families["journal_entries"].samples
    assert not page.has("journal_oldest_waiting_seconds")
    assert page("slots", pack="demo") == 16


def test_a_journal_that_cannot_be_written(rig: Rigs) -> None:
    made = rig()
    made.state.unlink()
    page = look(made.app)
    assert page("journal_usable") == 0
    assert page("journal_entries", state="parked") == 0


def test_a_journal_that_hangs_is_waited_for_once(rig: Rigs) -> None:
    made = rig()
    assert JOURNAL_SECONDS < 10  # Prometheus waits no longer
    metrics = Metrics(made.scrubber, made.hand.clock.monotonic, journal_seconds=0.2)

    def usable() -> float:
        content_type, body = metrics.page(made.parts, "")
        return read_page(content_type, body.decode())("journal_usable")

    before = threading.active_count()
    hide(made.state, "event")
    with pytest.raises(JournalError):
        made.journal.emit("demo", b"{}")
    show(made.state, "event")
    with closing(sqlite3.connect(made.state)) as backup:
        backup.execute("BEGIN IMMEDIATE")  # every writer waits for it
        assert [usable() for _ in range(5)] == [0] * 5
        assert threading.active_count() == before + 1
    wait_until(usable, "the journal is back")


def test_a_dead_thread_counts(rig: Rigs) -> None:
    made = rig()
    runs: tuple[Callable[[], object], ...] = (sys.exit, int)
    for number, run in enumerate(runs):
        ended = made.parts.watch.make_thread(run, f"thread {number}")
        ended.start()
        ended.join()
    assert look(made.app).all("threads") == {("dead",): 1}


def test_plugins_are_counted_by_status(rig: Rigs) -> None:
    packs = {"demo": {}, "off": {"plugin": "demo", "enabled": False}, "bad": {"plugin": "none"}}
    page = look(rig(packs, demo=PackPlugin(ECHO)).app)
    assert page.all("plugins") == {("broken",): 1, ("disabled",): 1, ("loaded",): 1}


def test_a_host_that_stops_answers_to_its_end(host: RunHost) -> None:
    running = host()
    running.wait_ready()
    parts = running.host._health
    running.stop()
    page = look(parts)
    assert page("journal_usable") == 0
    assert page("threads", state="dead") == 0


def test_a_plugin_that_hangs_while_it_is_loaded(server: ScriptedServer, tmp_path: Path) -> None:
    release, reached = threading.Event(), threading.Event()

    class Hangs:
        def __init__(self) -> None:
            reached.set()
            release.wait(PATIENCE_SECONDS)

    config = host_config(server.url, tmp_path / "state.db", {}, {})
    made = Host(config, install({"hangs": Hangs}), os.environ, Scrubber())
    starting = threading.Thread(target=made.start)
    starting.start()
    try:
        assert reached.wait(PATIENCE_SECONDS)
        assert "process_open_fds" in scrape(made.health_url).families
    finally:
        release.set()
        starting.join(PATIENCE_SECONDS)
        made.stop(0)


@pytest.mark.parametrize("request_", ["POST /v1/packs", TAKE])
def test_a_flyte_that_does_not_answer(server: ScriptedServer, host: RunHost, request_: str) -> None:
    server.on(request_, [HANG])
    running = host()
    name = request_.rpartition(" ")[2]
    wait_until(lambda: any(each.path == name for each in server.requests), "flyte hangs")
    page = scrape(running.health_url)
    assert page("pack_registered", pack="demo") == (request_ == TAKE)
    assert page("slots_in_use", pack="demo") == (request_ == TAKE)


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.meaning.endswith("."), metric.name
        assert not metric.name.startswith(PREFIX)
        assert metric.labels == tuple(dict.fromkeys(metric.labels))
    assert len({each.name for each in METRICS}) == len(METRICS)
