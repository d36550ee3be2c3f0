"""docs/how-to/trace-actions.md, as a reader would follow it, with a collector and a service."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.blocks import ROOT, blocks_of, write_files
from tests.support.collector import Collector, SeenSpan
from tests.support.own_packs import disabled_packs
from tests.support.scripted_server import ScriptedServer, reply
from tests.support.serving import Serving

PAGE = ROOT / "docs" / "how-to" / "trace-actions.md"
COMMANDS = [each.text for each in blocks_of(PAGE) if each.language == "sh"]
MODULE = "flyte_pack_weather.py"
TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
FORMS = ["", 'isolation = "process"']


@dataclass(frozen=True)
class TraceWalk:
    collector: Collector
    service: ScriptedServer
    host: Serving


@pytest.fixture(params=FORMS, ids=["thread", "process"])
def walk(
    request: pytest.FixtureRequest,
    installed: Callable[..., Path],
    tmp_path: Path,
    flyte_host_environ: dict[str, str],
) -> Iterator[TraceWalk]:
    """The page's host, serving; its pack in this process or in its own."""
    write_files(PAGE, tmp_path)
    installed(
        "weather", (tmp_path / MODULE).read_text(encoding="utf-8") + "\nplugin = WeatherPack\n"
    )
    file = tmp_path / "flyte-host.toml"
    with Collector() as collector, ScriptedServer() as service:
        for day in ("today", "tomorrow"):
            service.on(f"GET /{day}", reply(200, b"rain"))
        text, count = re.subn(r"127\.0\.0\.1:80[89]0", "127.0.0.1:0", file.read_text("utf-8"))
        text = text.replace("http://localhost:4318", collector.url)
        text = text.replace("https://weather.example.com", service.url)
        assert (count, text.count("http://")) == (2, 2)
        text = text.replace("[packs.weather.settings]", f"[packs.weather]\n{request.param}\n"
                            "[packs.weather.settings]")  # fmt: skip
        file.write_text(text + disabled_packs("weather"), encoding="utf-8")
        with Serving(tmp_path, flyte_host_environ) as host:
            host.wait_ready()
            yield TraceWalk(collector, service, host)


def send(host: Serving, command: str) -> None:
    """What a ``curl`` of the page sends."""
    words = shlex.split(command)
    body, url = words[words.index("-d") + 1], next(each for each in words if "http://" in each)
    headers = {"traceparent": PARENT} if f"traceparent: {PARENT}" in words else {}
    answer = requests.post(
        url.replace("http://127.0.0.1:8080", host.flyte_url), json=json.loads(body),
        headers=headers, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert answer.status_code in {201, 202}


def by_step(collector: Collector) -> dict[object, SeenSpan]:
    return {each.attributes["flyte.step"]: each for each in collector.spans()}


def test_one_trace_goes_through_all_of_it(walk: TraceWalk) -> None:
    [commands] = [each for each in COMMANDS if "curl" in each]
    for line in commands.splitlines():
        send(walk.host, line)
    walk.collector.wait_for(2)
    ask, tell = by_step(walk.collector)["ask"], by_step(walk.collector)["tell"]
    assert {each.name for each in (ask, tell)} == {"Weather.Ask"}
    assert {each.trace_id for each in (ask, tell)} == {TRACE_ID}
    assert (ask.parent_id, tell.parent_id) == (PARENT_ID, ask.span_id)
    today, tomorrow = [each.headers["traceparent"] for each in walk.service.requests]
    assert today.split("-")[1:3] == [TRACE_ID, ask.span_id]
    assert tomorrow.split("-")[1:3] == [TRACE_ID, tell.span_id]
    wait_until(lambda: len(walk.host.messages("Ask → Forecast")) == 2, "the log has both results")
    told = [each for each in walk.host.log if "Ask" in each["message"] and "flow" in each]
    assert {each.get("trace") for each in told} == {TRACE_ID}


def test_the_page_names_all_attributes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    source = (ROOT / "flyte_host" / "traces" / "span_tracer.py").read_text(encoding="utf-8")
    names = {*re.findall(r'"flyte\.(\w+)"', source), *re.findall(r'"(\w+)": ', source)}
    assert [each for each in names if f"`flyte.{each}`" not in page and "." not in each] == []


def test_the_page_is_linked() -> None:
    assert "how-to/trace-actions.md" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
