"""A secret that sings in every output that has it: none has it.

It gets into the host as everything that can be a secret (an environment variable, a file, the
token), and plugins do with it what they can: raise it, log it, show it, send it.
"""

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.conftest import Run
from tests.support.collector import Collector
from tests.support.faults import answered
from tests.support.proxy import FaultProxy, forward_to
from tests.support.serving import Serving

FROM_ENV, FROM_FILE, TOKEN = 'env "c4n4ry\\1" é%', "file-c4n4ry-2 & more", "token-c4n4ry-3"
SONG = "c4n4ry"
"""In each of them; ``sings`` looks for base64 and escapes of it."""

PLUGIN = """
import base64, logging, threading, urllib.parse, warnings
from flyte_host import (
    Command, Event, EventDef, Health, HealthCheck, PackDef, fatal_event, hookimpl,
)

DONE = EventDef("Done")
log = logging.getLogger("plugin")

class plugin:
    def __init__(self, settings):
        self.secrets = [settings["password"], settings["nested"]["key"]]
        if settings.get("broken"):
            raise ValueError(f"cannot log in with {self.secrets}")
        self.all = " ".join(self.secrets)

    @hookimpl
    def flyte_pack(self):
        names = ["raises", "chains", "logs", "sends", "names", "ends", "exits", "threads", "warns",
                 "unencodable", "rubbish", "dies_late", "refused"]
        return PackDef("Canary", commands=[
            Command("command of " + self.all, self.raises, [DONE]),
            *(Command(name, getattr(self, name), [DONE]) for name in names),
        ])

    def raises(self, input):
        raise RuntimeError("no entry with " + self.all)

    def chains(self, input):
        try:
            raise KeyError(self.secrets[0], self.secrets[1].encode())
        except KeyError as error:
            error.add_note(self.all)
            raise ValueError({"secrets": self.secrets}) from error

    def logs(self, input):
        log.error("plain %s, repr %r", self.all, self.secrets)
        for each in self.secrets:
            log.warning(urllib.parse.quote(each))
            log.warning(base64.b64encode(f"user:{each}".encode()).decode())
        log.info("input", extra={"pack": self.all, "action": self.all})
        return DONE("logged")

    def sends(self, input):
        return DONE({"password": self.secrets, "input": input})

    def names(self, input):
        return Event(EventDef("Done-" + self.all), None)

    def ends(self, input):
        return fatal_event("sent " + self.all)

    def exits(self, input):
        raise SystemExit(self.all)

    def threads(self, input):
        thread = threading.Thread(target=self.raises, args=(None,))
        thread.start()
        thread.join()
        return DONE("its thread raised")

    def warns(self, input):
        warnings.warn("beware of " + self.all)
        return DONE("warned")

    def dies_late(self, input):
        class Late:
            def __del__(late):
                raise ValueError(self.all)
        Late()
        return DONE("raised in __del__")

    def refused(self, input):
        return DONE(self.all)

    def unencodable(self, input):
        class Strange:
            def __repr__(strange):
                return self.all
        return DONE({self.all: Strange()})

    def rubbish(self, input: int):
        return self.all

    @hookimpl
    def flyte_observe(self, pack, emit, stopping):
        emit(Event(EventDef("Raised " + self.all), self.all))
        raise RuntimeError("observed " + self.all)

    @hookimpl
    def flyte_health_checks(self, pack):
        def raises():
            raise RuntimeError("checked " + self.all)
        return [
            HealthCheck("says " + self.all, lambda: Health(False, {self.all: [self.secrets]})),
            HealthCheck("raises", raises),
        ]
"""
CONFIG = """
[flyte]
url = '{url}'
token = {{ env = "CANARY_TOKEN" }}
[health]
listen = '127.0.0.1:0'
{traces}
[packs.canary]
{isolation}
[packs.canary.settings]
password = {{ env = "CANARY" }}
nested = {{ key = {{ file = "canary.txt" }} }}
[packs.broken]
plugin = "canary"
{isolation}
[packs.broken.settings]
broken = true
password = {{ env = "CANARY" }}
nested = {{ key = {{ file = "canary.txt" }} }}
"""
COMMANDS = (
    "raises", "chains", "logs", "sends", "names", "ends", "exits", "threads", "warns",
    "unencodable", "rubbish", "dies_late",
)  # fmt: skip


def sings(text: str) -> list[str]:
    """The lines in which the canary can be read, plain or encoded."""
    tunes = {SONG, quote(SONG), SONG.encode().hex()}
    return [line for line in text.splitlines() if any(tune in line for tune in tunes)]


@pytest.fixture
def canary(
    installed: Callable[..., Path], tmp_path: Path, flyte_host_environ: dict[str, str]
) -> dict[str, str]:
    """The environment that has it."""
    installed("canary", PLUGIN)
    (tmp_path / "canary.txt").write_text(f"{FROM_FILE}\n", encoding="utf-8")
    return flyte_host_environ | {"CANARY": FROM_ENV, "CANARY_TOKEN": TOKEN, "CANARY_TRACES": TOKEN}


TRACES = """
[traces]
url = "{url}"
headers = {{ key = {{ env = "CANARY_TRACES" }} }}
"""


def configure(tmp_path: Path, url: str, isolation: str = "", traces: str = "") -> None:
    text = CONFIG.format(url=url, isolation=isolation, traces=traces)
    (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")


def reasons(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "flyte-host.db")) as db:
        rows = db.execute("SELECT reason FROM action UNION ALL SELECT reason FROM event").fetchall()
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("form", "isolation"), [("json", ""), ("text", ""), ("text", 'isolation = "process"')]
)
def test_it_is_silent_in_what_a_host_says(
    canary: dict[str, str], tmp_path: Path, flyte_server: FlyteServer, form: str, isolation: str
) -> None:
    with FaultProxy(forward_to(flyte_server.url)) as proxy, Collector() as collector:
        proxy.token = TOKEN
        configure(tmp_path, proxy.url, isolation, TRACES.format(url=collector.url))
        with Serving(tmp_path, canary, "--log-format", form, "--log-level", "debug") as host:
            said = said_by(host, form)
            pages = wait_until(lambda: health_pages(said), "health pages")
            flows = [flyte_server.queue("Canary", each) for each in COMMANDS]
            ended = [flyte_server.finished(each) for each in flows]
            proxy.script("result", *[lambda exchange: answered(400, exchange)] * 2)
            flyte_server.queue("Canary", "refused")
            wait_until(lambda: "parked" in said(), "a result is parked")
            texts = [requests.get(f"{pages}{path}", timeout=PATIENCE_SECONDS).text
                     for path in ("/", "/ready", "/live", "/packs/canary", "/packs/x", "/status",
                                  "/metrics")]  # fmt: skip
            host.signal(signal.SIGTERM)
            host.ended()
            texts += [said(), host.output, reasons(tmp_path)]
            spans = b"".join(collector.bodies).decode("utf-8", "replace")
    assert {each.event for each in ended} > {"Done", "FATAL"}
    assert "parked" in texts[-3]
    assert 'actions_ended_total{command="command of ***' in texts[-4]
    assert "answered with 400" in texts[-1]
    assert [line for text in texts for line in sings(text)] == []
    assert "no entry with ***" in spans
    assert sings(spans) == []
    # What the host itself made of an exception went to flyte without it; the rest is the plugin's.
    by_command = dict(zip(COMMANDS, ended, strict=True))
    own = [by_command[each].payload for each in ("raises", "chains", "exits", "unencodable")]
    assert [line for payload in own for line in sings(json.dumps(payload))] == []
    assert SONG in str(by_command["sends"].payload)


PAGES = ("/", "/executions", "/executions?flow=raises", "/flows", "/flows/raises", "/packs",
         "/packs/Canary", "/datastore", "/journal", "/nothing-here")  # fmt: skip
EMBEDDED = """
[flyte.embedded]
listen = "127.0.0.1:0"
flows = ["flows/*.yaml"]
"""
FLOW = """
name: {name}
steps:
  - id: only
    event: {{packName: Me, name: Go}}
    command: {{packName: Canary, name: {name}}}
"""
QUIET = ("raises", "chains", "exits", "unencodable")
"""Commands whose FATALs the host writes; what a handler sends is the plugin's own business."""


def test_it_is_silent_in_the_pages_of_embedded_flyte(
    canary: dict[str, str], tmp_path: Path
) -> None:
    configure(tmp_path, "http://127.0.0.1:1")
    file = tmp_path / "flyte-host.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(EMBEDDED + text[text.index("[health]") :], encoding="utf-8")
    (tmp_path / "flows").mkdir()
    for name in QUIET:
        (tmp_path / "flows" / f"{name}.yaml").write_text(FLOW.format(name=name), encoding="utf-8")
    with Serving(tmp_path, canary) as host:
        host.wait_ready()

        def get(path: str, accept: str = "text/html") -> str:
            url, headers = f"{host.flyte_url}{path}", {"Accept": accept}
            return requests.get(url, headers=headers, timeout=PATIENCE_SECONDS).text

        for path, body in (("packs", {"name": "Me"}), ("packs/Me/events", {"event": "Go"})):
            requests.post(f"{host.flyte_url}/v1/{path}", json=body, timeout=PATIENCE_SECONDS)

        def ended() -> list[Any]:
            found = json.loads(get("/v1/audit/flows", "application/json"))["flows"]
            done = [each for each in found if "FATAL" in json.dumps(each["actions"])]
            return done if len(done) == len(QUIET) else []

        executions = wait_until(ended, "all flows have ended")
        paths = [*PAGES, *(f"/executions/{each['correlationId']}" for each in executions)]
        texts = {path: get(path) for path in paths}
    assert "no entry with ***" in "".join(texts.values())
    assert "journal show" in texts[paths[-1]]
    assert [line for text in texts.values() for line in sings(text)] == []


def said_by(host: Serving, form: str) -> Callable[[], str]:
    def said() -> str:
        found: list[Any] = host.errors if form == "text" else [*host.log, *host.errors]
        return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in found)

    return said


def health_pages(said: Callable[[], str]) -> str:
    return said().partition("health pages at ")[2].partition("\n")[0].partition('"')[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",), ("packs",), ("packs", "--json"), ("run", "canary", "raises", "1"),
        ("run", "canary", "chains", "1"), ("run", "canary", "rubbish", "1"),
        ("run", "canary", "rubbish", '"x"'), ("run", "canary", "exits", "1"),
        ("run", "broken", "raises", "1"), ("run", "canary", "logs", "1"),
        ("run", "canary", "threads", "1"), ("serve", "--strict"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_it_is_silent_in_what_commands_say(
    canary: dict[str, str], tmp_path: Path, flyte_host: Run, arguments: tuple[str, ...]
) -> None:
    configure(tmp_path, "http://127.0.0.1:1")
    done = flyte_host(*arguments, "--log-level", "debug", environ=canary)
    assert done.stdout or done.stderr
    assert sings(done.stdout + done.stderr) == []
