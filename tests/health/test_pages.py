"""What the health pages say of a host, healthy and ill, before, while and after it runs."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host import Command, Event, Health, HealthCheck, NotSetUp, PackDef, hookimpl
from flyte_host.client.engine import find_engine
from flyte_host.clock import Clock
from flyte_host.health.checks import Checks
from flyte_host.health.pages import HealthApp
from flyte_host.health.readiness import FRESH_SECONDS, JOURNAL_MARK
from flyte_host.pipeline.journal import JournalError
from flyte_host.plugins import Loader
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from flyte_host.web.web_server import WebServer
from tests.support.asgi import ask_app
from tests.support.health_rig import FlyteOfSize, HealthRig, health_app
from tests.support.host_parts import ECHO, OK, PackPlugin, flyte_script, taken
from tests.support.journal_file import execute, refuse_results, write_result, write_taken
from tests.support.scripted_server import ScriptedServer, reply

GOOD = HealthCheck("Good", lambda: Health(True, "All good"))


def page(app: HealthApp, path: str) -> tuple[int, Any]:
    answer = ask_app(app, path)
    return answer.status, json.loads(answer.body)


class PageRig(HealthRig):
    def ready(self, line: str) -> dict[str, Any]:
        status, document = page(self.app, "/ready")
        lines: dict[str, dict[str, Any]] = document["checks"]
        ready = all(each["healthy"] or not each["critical"] for each in lines.values())
        assert document["ready"] == ready
        assert status == (200 if ready else 503)
        return lines[line]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other")
        running.on("GET /health", reply(200))
        yield running


Rigs = Callable[..., PageRig]


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    made: list[PageRig] = []

    def make(packs: Mapping[str, Mapping[str, Any]] | None = None, **plugins: object) -> PageRig:
        made.append(
            PageRig(
                server, tmp_path / "flyte-host.db", plugins or {"demo": PackPlugin(ECHO)}, packs
            )
        )
        return made[-1].watch()

    yield make
    for each in made:
        each.close()


def fine(status: Any) -> dict[str, Any]:
    return {"healthy": True, "status": status}


DEFAULT = {"DefaultCheck": fine("Pack is running.")}
FLYTE = {"flyte-api": fine("flyte is healthy")}


def test_before_the_engine_runs_every_page_answers() -> None:
    loader = Loader([], {}, Scrubber())
    app = HealthApp(Scrubber(), loader, Clock(), ThreadWatch())
    assert page(app, "/") == (200, DEFAULT)
    assert page(app, "") == (200, DEFAULT)
    assert page(app, "/live") == (200, {"live": True, "dead_threads": []})
    status, document = page(app, "/ready")
    assert status == 503
    assert document == {
        "ready": False,
        "checks": {
            "host": {
                "healthy": False,
                "reason": "starting: loading plugins",
                "age_seconds": None,
                "critical": True,
            }
        },
    }
    loader.problem = "slow: its import is taking long"
    said = page(app, "/ready")[1]["checks"]["host"]["reason"]
    assert said == "starting: loading plugins; slow: its import is taking long"
    missing = {"error": "no pack 'demo' is served", "packs": "none yet"}
    assert page(app, "/packs/demo") == (404, missing)


def test_an_unknown_page_names_the_pages() -> None:
    app = health_app()
    document = {
        "error": "no page /helth",
        "pages": ["/", "/packs/<pack key>", "/live", "/ready", "/metrics", "/status"],
    }
    assert page(app, "/helth") == (404, document)


def test_answers_are_json_and_not_to_be_kept() -> None:
    status, headers, body = ask_app(health_app(), "/")
    assert status == 200
    assert headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }


def test_head_is_get_without_the_body() -> None:
    app = health_app()
    status, headers, body = ask_app(app, "/ready")
    assert ask_app(app, "/ready", "HEAD") == (status, headers, b"")
    assert status == 503
    assert body


def test_without_checks_there_is_a_default(rig: Rigs) -> None:
    made = rig()
    assert page(made.app, "/") == (200, DEFAULT | FLYTE)
    assert page(made.app, "/packs/demo") == (200, DEFAULT)


def test_every_check_is_on_the_page_and_each_pack_has_its_own(rig: Rigs) -> None:
    bad = HealthCheck("Bad", lambda: Health(False, {"code": 7}))
    made = rig(demo=PackPlugin(ECHO, checks=[GOOD]), other=PackPlugin(name="Other", checks=[bad]))
    checks = {"Good": fine("All good"), "Bad": {"healthy": False, "status": {"code": 7}}}
    assert page(made.app, "/") == (500, checks | FLYTE)
    assert page(made.app, "/packs/demo") == (200, {"Good": fine("All good")})
    for name in ("other", "Other"):
        assert page(made.app, f"/packs/{name}") == (500, {"Bad": checks["Bad"]})
    missing = {"error": "no pack 'third' is served", "packs": "demo, other"}
    assert page(made.app, "/packs/third") == (404, missing)


def test_an_unhealthy_check_that_is_not_critical_leaves_the_page_at_200(rig: Rigs) -> None:
    bad = HealthCheck("Bad", lambda: Health(False), critical=False)
    made = rig(demo=PackPlugin(checks=[bad]))
    answer = {"Bad": {"healthy": False, "status": None}}
    assert page(made.app, "/") == (200, answer | FLYTE)
    assert page(made.app, "/packs/demo") == (200, answer)


def test_flyte_is_asked_and_not_critical(rig: Rigs, server: ScriptedServer) -> None:
    server.on("GET /health", reply(500))
    status, document = page(rig().app, "/")
    assert status == 200
    assert document["flyte-api"] == {
        "healthy": False,
        "status": f"GET {server.url}/health was answered with 500",
    }


def test_a_name_that_two_packs_use_gets_the_packs(rig: Rigs) -> None:
    made = rig(
        demo=PackPlugin(checks=[GOOD]),
        other=PackPlugin(name="Other", checks=[GOOD, HealthCheck("Own", lambda: Health(True))]),
    )
    _, document = page(made.app, "/")
    assert set(document) == {"Demo: Good", "Other: Good", "Own", "flyte-api"}
    assert set(page(made.app, "/packs/other")[1]) == {"Good", "Own"}


def test_packs_of_one_name_are_told_by_their_instance(rig: Rigs) -> None:
    packs = {env: {"plugin": "demo", "labels": {"env": env}} for env in ("test", "live")}
    made = rig(packs, demo=lambda: PackPlugin(checks=[GOOD]))
    _, document = page(made.app, "/")
    assert set(document) == {"test: Good", "live: Good", "flyte-api"}


def test_a_check_called_like_the_hosts_own_does_not_hide(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(checks=[HealthCheck("flyte-api", lambda: Health(False, "mine"))]))
    mine = {"healthy": False, "status": "mine"}
    assert page(made.app, "/") == (500, {"Demo: flyte-api": mine} | FLYTE)


def test_of_two_checks_of_one_name_in_one_pack_none_is_lost(rig: Rigs) -> None:
    bad = HealthCheck("Good", lambda: Health(False, "not so good"))
    made = rig(demo=PackPlugin(checks=[GOOD, bad]))
    worse = {"healthy": False, "status": "not so good"}
    whole = {"Demo: Good": fine("All good"), "Demo: Good (2)": worse}
    assert page(made.app, "/") == (500, whole | FLYTE)
    own = {"Good": fine("All good"), "Good (2)": worse}
    assert page(made.app, "/packs/demo") == (500, own)


def raises() -> Health:
    raise RuntimeError("no \ud800 wire")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (raises, "the check failed: RuntimeError: no \\ud800 wire"),
        (lambda: True, "the check failed: it returned a bool, expected a Health"),
        (lambda: Health(True, object()), "the check failed: its status is not valid JSON"),
    ],
)
def test_a_check_that_misbehaves_is_unhealthy_and_no_error_page(
    rig: Rigs, check: Any, words: str
) -> None:
    made = rig(demo=PackPlugin(checks=[HealthCheck("Odd", check)]))
    status, document = page(made.app, "/")
    assert status == 500
    assert document["Odd"]["healthy"] is False
    assert document["Odd"]["status"].startswith(words)
    assert page(made.app, "/packs/demo")[0] == 500


def test_a_check_that_hangs_is_unhealthy(rig: Rigs) -> None:
    release = threading.Event()

    def hang() -> Health:
        release.wait(PATIENCE_SECONDS)
        return Health(True)

    made = rig(demo=PackPlugin(checks=[HealthCheck("Slow", hang), GOOD]))
    made.app._checks = Checks(limit_seconds=0.5)
    status, document = page(made.app, "/")
    assert status == 500
    assert document["Slow"]["status"].startswith("the check failed: did not return within 0.5 s")
    assert document["Good"] == fine("All good")
    release.set()
    wait_until(lambda: page(made.app, "/")[0] == 200, "the check is back")


def test_secrets_are_not_shown(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(checks=[HealthCheck("Db", lambda: Health(False, "pw s3cr3t! bad"))]))
    made.scrubber.learn("s3cr3t!")
    assert page(made.app, "/")[1]["Db"]["status"] == "pw *** bad"
    assert b"s3cr3t!" not in ask_app(made.app, "/packs/s3cr3t!")[2]


def test_a_dead_thread_is_named(rig: Rigs) -> None:
    made = rig()
    assert page(made.app, "/live") == (200, {"live": True, "dead_threads": []})
    for name, run in (("courier-8", lambda: None), ("courier-9", sys.exit)):
        ended = made.parts.watch.make_thread(run, name)
        ended.start()
        ended.join()
    assert page(made.app, "/live") == (503, {"live": False, "dead_threads": ["courier-9"]})
    status, document = page(made.app, "/ready")
    assert (status, document["checks"]["threads"]) == (
        503,
        line(
            healthy=False,
            reason="thread 'courier-9' was ended by SystemExit: the host cannot go on",
        ),
    )


def line(
    *, healthy: bool, reason: str, age_seconds: float | None = None, critical: bool = True
) -> dict[str, Any]:
    return {
        "healthy": healthy,
        "reason": reason,
        "age_seconds": age_seconds,
        "critical": critical,
    }


def test_a_healthy_host_is_ready(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(name="Other"))
    made.poll_once()
    assert page(made.app, "/ready") == (
        200,
        {
            "ready": True,
            "checks": {
                "threads": line(healthy=True, reason="all run"),
                "flyte": line(healthy=True, reason="reachable"),
                "engine": line(healthy=True, reason=find_engine().name, critical=False),
                "registered": line(healthy=True, reason="2 packs"),
                "polling": line(healthy=True, reason="fresh", age_seconds=0.0),
                "paused": line(healthy=True, reason="no pack is paused", critical=False),
                "slots": line(healthy=True, reason="0 actions running", critical=False),
                "processes": line(
                    healthy=True, reason="0 plugins have processes of their own", critical=False
                ),
                "journal": line(healthy=True, reason="0 results and 0 events wait for flyte"),
                "plugins": line(healthy=True, reason="none is broken", critical=False),
            },
        },
    )


@dataclass
class EndingToken:
    """A token that says when it ends."""

    ends: datetime | None

    def current(self) -> str:
        return "any"

    def refresh(self) -> bool:
        return False

    def expires_at(self) -> datetime | None:
        return self.ends


def test_the_end_of_the_token_is_told(rig: Rigs) -> None:
    made = rig()
    made.poll_once()
    assert "token" not in page(made.app, "/ready")[1]["checks"]
    token = EndingToken(made.now + timedelta(hours=1))
    made.parts.client.transport.token = token
    words = "flyte's token ends at 2030-01-01 01:00:00 UTC"
    assert made.ready("token") == line(healthy=True, reason=words, critical=False)
    token.ends = made.now
    words = "flyte's token ended at 2030-01-01 00:00:00 UTC"
    assert made.ready("token") == line(healthy=False, reason=words, critical=False)
    token.ends = None
    assert "token" not in page(made.app, "/ready")[1]["checks"]


def test_a_host_that_stops_is_not_ready(rig: Rigs) -> None:
    made = rig()
    made.poll_once()
    made.app.stop()
    stopping = {"host": line(healthy=False, reason="stopping")}
    assert page(made.app, "/ready") == (503, {"ready": False, "checks": stopping})


def test_a_flyte_that_is_away_is_told_with_its_age(rig: Rigs) -> None:
    made = rig()
    made.parts.outage.failed("connection refused")
    made.hand.seconds += 42
    away = line(healthy=False, reason="not reachable: connection refused", age_seconds=42.0)
    assert made.ready("flyte") == away
    made.parts.outage.succeeded()
    assert made.ready("flyte") == line(healthy=True, reason="reachable")


def test_packs_that_are_not_registered_are_named_by_their_problem(
    rig: Rigs, server: ScriptedServer
) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(name="Other"))
    reason = "demo, other: not registered yet"
    assert made.ready("registered") == line(healthy=False, reason=reason)
    made.parts.registrations.get("other")
    reason = "demo: not registered yet"
    assert made.ready("registered") == line(healthy=False, reason=reason)


def test_a_pack_that_was_never_polled_is_not_fresh(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(name="Other"))
    assert made.ready("polling") == line(healthy=False, reason="not polled yet: demo")


def test_a_stale_pack_is_named_with_its_problem_and_age(rig: Rigs) -> None:
    made = rig(demo=PackPlugin(ECHO), other=PackPlugin(ECHO, name="Other"))
    made.poll_by_hand()
    made.hand.seconds += FRESH_SECONDS
    assert made.ready("polling")["healthy"]
    made.hand.seconds += 2
    turns = {turn.pack_key: turn for turn in (made.turn(), made.turn())}
    turns["demo"].failed("no wire", 60)
    reason = "not polled for more than 30 s: demo: no wire, other: no answer"
    stale = line(healthy=False, reason=reason, age_seconds=FRESH_SECONDS + 2)
    assert made.ready("polling") == stale


def test_a_problem_of_polling_is_told_before_it_is_stale(rig: Rigs, server: ScriptedServer) -> None:
    server.on("POST /v1/packs/Demo/actions/take", reply(400))
    made = rig()
    made.rig.start()
    take = f"{server.url}/v1/packs/Demo/actions/take"
    reason = f"demo: POST {take} was answered with 400"
    wait_until(lambda: made.ready("polling")["reason"] == reason, "the problem")
    assert not made.ready("polling")["healthy"]


def test_a_pack_without_a_free_slot_need_not_be_polled(rig: Rigs) -> None:
    made = rig({"demo": {"max_concurrent": 1}}, demo=PackPlugin(ECHO))
    made.turn().empty()
    made.hand.seconds += 1
    turn = made.turn()
    assert turn.may_begin()
    made.hand.seconds += 1000
    assert made.ready("polling") == line(healthy=True, reason="fresh")
    assert made.ready("slots")["reason"] == "1 action running"
    turn.rest(1000)
    assert not made.ready("polling")["healthy"]


STANDS = r"release.wait\(PATIENCE_SECONDS\)"


def test_stuck_handlers_are_told_and_a_quarantine_is_unhealthy(rig: Rigs) -> None:
    release = threading.Event()

    def stuck(input: Any) -> Event:
        release.wait(PATIENCE_SECONDS)
        return OK()

    command = Command("stuck", stuck, [OK], timeout_seconds=0.05)
    made = rig({"demo": {"max_concurrent": 2}}, demo=PackPlugin(command))
    made.rig.start()

    def tells(reason: str) -> bool:
        made.tick()
        return bool(re.fullmatch(reason, made.ready("slots")["reason"]))

    for number in (1, 2):
        made.rig.submit(number, "stuck")
        place = "; ".join(number * [rf"stuck \(at health/test_pages.py:\d+: {STANDS}\)"])
        reason = rf"handlers past their timeout: demo: {number} \({place}\)"
        wait_until(partial(tells, reason), "a stuck handler")
        shown = made.ready("slots")
        assert shown == line(healthy=number < 2, reason=shown["reason"], critical=False)
    made.hand.seconds += 1000
    assert made.ready("polling")["healthy"]  # a quarantined pack is not polled
    release.set()
    wait_until(lambda: made.ready("slots")["healthy"], "the pack is back")


def test_a_journal_over_its_mark_is_not_ready(rig: Rigs) -> None:
    made = rig()
    execute(
        made.state,
        "INSERT INTO event (instance, body, changed_at) VALUES ('demo', '', ?)",
        [(made.now.isoformat(),)] * (JOURNAL_MARK - 1),
    )
    made.now += timedelta(seconds=90)
    assert made.ready("journal") == line(
        healthy=True, reason="0 results and 999 events wait for flyte", age_seconds=90.0
    )
    write_result(made.journal, write_taken(made.journal, "demo", "Demo", taken()), b"{}")
    assert made.ready("journal") == line(
        healthy=False, reason="1 result and 999 events wait for flyte", age_seconds=90.0
    )


def test_what_is_parked_is_never_silent(rig: Rigs) -> None:
    made = rig()
    made.journal.park(made.journal.emit("demo", b"{}"), "400")
    reason = "0 results and 0 events wait for flyte; 1 parked: flyte refused them"
    assert made.ready("journal") == line(healthy=True, reason=reason)


def test_a_journal_that_cannot_be_read_is_not_ready(rig: Rigs) -> None:
    made = rig()
    made.journal.close()
    assert not made.ready("journal")["healthy"]
    assert made.ready("journal")["reason"].endswith(": closed, since the host is stopping")


def test_a_journal_that_cannot_be_written_is_not_ready_until_it_can(rig: Rigs) -> None:
    made = rig()
    execute(
        made.state,
        "CREATE TRIGGER full BEFORE INSERT ON action BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    assert made.ready("journal")["healthy"]  # nobody has tried
    with pytest.raises(JournalError, match="disk full"):
        write_taken(made.journal, "demo", "Demo", taken())
    assert not made.ready("journal")["healthy"]
    assert "disk full; flyte-host takes no action" in made.ready("journal")["reason"]
    execute(made.state, "DROP TRIGGER full")
    assert made.ready("journal")["healthy"]


def test_results_that_are_in_memory_only_are_counted(rig: Rigs) -> None:
    made = rig()
    opened = [write_taken(made.journal, "demo", "Demo", taken(number)) for number in (1, 2)]
    refuse_results(made.state)
    for each in opened:
        with pytest.raises(JournalError):
            write_result(made.journal, each, b"{}")
    assert made.ready("journal") == line(
        healthy=False,
        reason="in memory only, since the journal could not be written: 2 finished results",
    )


@pytest.mark.parametrize(
    ("store_bytes", "expected"),
    [
        (lambda: 1_234_567_890, (True, "1,234.6 MB")),
        (lambda: 40_000, (True, "0.0 MB")),
        (lambda: 1 // 0, (False, "cannot be read: ZeroDivisionError: integer division or modulo")),
    ],
    ids=["large", "small", "unreadable"],
)
def test_the_size_of_the_store_informs(
    rig: Rigs, store_bytes: Callable[[], int], expected: tuple[bool, str]
) -> None:
    made = rig()
    made.app.watch(made.parts, FlyteOfSize(store_bytes))
    store = made.ready("store")
    assert (store["healthy"], store["reason"][: len(expected[1])]) == expected
    assert not store["critical"]


def test_a_host_without_embedded_flyte_has_no_store(rig: Rigs) -> None:
    assert "store" not in page(rig().app, "/ready")[1]["checks"]


def test_a_broken_plugin_is_told_and_does_not_turn_the_page(rig: Rigs) -> None:
    class Broken:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            raise RuntimeError("no licence")

    made = rig(demo=PackPlugin(ECHO), bad=Broken())
    made.poll_once()
    told = made.ready("plugins")
    assert (told["healthy"], told["critical"]) == (False, False)
    assert told["reason"].startswith("bad: ")
    assert "no licence" in told["reason"]
    assert page(made.app, "/ready")[0] == 200


def test_a_plugin_that_is_not_set_up_is_named_and_nothing_is_wrong(
    flyte_run_host: Callable[..., RunningHost],
) -> None:
    def unset(settings: dict[str, str]) -> object:
        raise NotSetUp(f"url: missing, found {settings}")

    running = flyte_run_host({"demo": PackPlugin(ECHO), "other": unset}, wait_ready=False)
    running.wait_ready()
    told = running.page("/ready")[1]["checks"]["plugins"]
    assert (told["healthy"], told["reason"]) == (True, "none is broken; not set up: other")


def test_a_reason_with_broken_text_is_not_an_error_page(rig: Rigs) -> None:
    made = rig()
    made.turn().failed("\ud800", 60)
    assert made.ready("polling")["reason"] == "demo: \\ud800"


def test_a_reason_has_no_control_characters(rig: Rigs) -> None:
    made = rig()
    made.turn().failed("gone\nready\x1b[2J\x9b\u2028")
    assert made.ready("polling")["reason"] == r"demo: gone\nready\x1b[2J\x9b\u2028"


def test_a_page_has_no_control_characters_and_says_what_it_said(rig: Rigs) -> None:
    status = {"lines": "a\nb\x1b[2J\x9b\u2028\u202e"}
    made = rig(demo=PackPlugin(ECHO, checks=[HealthCheck("disk", lambda: Health(True, status))]))
    _, _, body = ask_app(made.app, "/packs/demo")
    assert body.endswith(b"}\n")
    assert body.decode().removesuffix("\n").isprintable()
    assert json.loads(body)["disk"]["status"] == status
    assert ask_app(made.app, "/no\x9b\x85")[2].decode().removesuffix("\n").isprintable()


def test_over_http_a_quoted_name_is_found(rig: Rigs) -> None:
    """The key of a pack without a table may be any entry point's name."""
    plugins: dict[str, object] = {"my päck %41": PackPlugin(ECHO, checks=[GOOD])}
    made = rig({"other": {}}, other=PackPlugin(ECHO, name="Other"), **plugins)
    web = WebServer(made.app, ("127.0.0.1", 0), name="health")
    web.start()
    try:
        answer = requests.get(f"{web.url}/packs/my%20p%C3%A4ck%20%2541", timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.json()) == (200, {"Good": fine("All good")})
        lost = requests.get(f"{web.url}/packs/%ff", timeout=PATIENCE_SECONDS)
        assert lost.status_code == 404
        assert lost.json()["packs"] == "other, my päck %41"
        head = requests.head(web.url, timeout=PATIENCE_SECONDS)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["Content-Length"]) > 10
    finally:
        web.stop()


def test_the_pages_of_a_running_host(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., RunningHost]
) -> None:
    running = flyte_run_host({"demo": PackPlugin(ECHO, checks=[GOOD])})
    assert running.page("/") == (200, {"Good": fine("All good")} | FLYTE)
    assert running.page("/packs/demo") == (200, {"Good": fine("All good")})
    assert running.page("/live") == (200, {"live": True, "dead_threads": []})
    assert running.page("/ready")[1]["ready"] is True
    assert running.page("/nowhere")[0] == 404
