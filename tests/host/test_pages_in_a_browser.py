"""Embedded flyte's pages in a real browser: they load, refresh and filter, for everybody."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import requests

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.kit_client import KitClient
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.blocks import ROOT
from tests.support.chromium import MISSING, Page, find_chromium
from tests.support.serving import Serving

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason=MISSING),
    pytest.mark.xdist_group("browser"),
]

PATHS = ("/", "/executions", "/executions/{id}", "/flows", "/flows/f", "/packs", "/packs/Q",
         "/datastore", "/journal", "/nothing-here/../executions/none")  # fmt: skip
FLOW = {
    "name": "f",
    "steps": [
        {"id": "a", "event": {"packName": "Q", "name": "Go"},
         "command": {"packName": "Q", "name": "run", "input": "{{ Event.Payload.who }}"}},
        {"id": "b", "event": {"packName": "Q", "name": "Go"}, "criteria": "{{ 1 == 2 }}",
         "command": {"packName": "Q", "name": "run", "input": 1}},
        {"id": "c", "dependsOn": ["a"], "event": {"packName": "Q", "name": "Ran"},
         "command": {"packName": "R", "name": "run", "input": 1}},
    ],
}  # fmt: skip


@pytest.fixture
def flyte(flyte_server: FlyteServer) -> FlyteServer:
    """A flyte with a pack, a flow and an execution."""
    fill(flyte_server)
    return flyte_server


@pytest.fixture(scope="module")
def steady_flyte() -> Iterator[FlyteServer]:
    """The same for all tests that change nothing."""
    server = FlyteServer()
    try:
        fill(server)
        yield server
    finally:
        server.close()


def fill(flyte: FlyteServer) -> None:
    flyte.put_flow(FLOW)
    KitClient(flyte.url).post(
        "/v1/packs", {"name": "Q", "commands": [{"name": "run", "events": ["Ran"]}]}
    )
    flyte.send_event("Q", "Go", {"who": "Ada"})
    flyte.send_event("Q", "Hm")


def execution_of(flyte: FlyteServer) -> str:
    [found] = KitClient(flyte.url).executions("f")
    return found.correlation_id


def text_of(page: Page) -> str:
    return str(page.evaluate("document.querySelector('main')?.innerText ?? ''"))


@pytest.fixture(scope="module", params=PATHS)
def loaded(request: pytest.FixtureRequest, steady_flyte: FlyteServer, tab: Page) -> Page:
    """A page of flyte, loaded once for the tests that look at it."""
    tab.resize(1000, 800)
    tab.type_address(steady_flyte.url + request.param.format(id=execution_of(steady_flyte)))
    return tab


def test_a_page_can_be_used_by_everybody(loaded: Page) -> None:
    assert violations(loaded) == []
    loaded.resize(1000, 800, is_dark=True)
    assert violations(loaded, "color-contrast") == []


def test_a_page_fits_a_narrow_screen(loaded: Page) -> None:
    loaded.resize(400, 800)
    assert loaded.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_page_holds_no_file_of_elsewhere(loaded: Page, steady_flyte: FlyteServer) -> None:
    files = loaded.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert {each.startswith(steady_flyte.url) for each in files} == {True}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A host with embedded flyte, an action that has ended, and one that nobody serves."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(ROOT / "docs" / "examples", folder, dirs_exist_ok=True)
    file = folder / "flyte-host.toml"
    text = re.sub(r"127\.0\.0\.1:80[89]0", "127.0.0.1:0", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    environ = {name: each for name, each in os.environ.items() if not name.startswith("FLYTE_")}
    with Serving(folder, environ) as host:
        host.wait_ready()
        bodies: tuple[tuple[str, Any], ...] = (
            ("packs", {"name": "Me"}),
            ("flows", step_of("wrong", "Shel")),
            ("packs/Me/events", {"event": "Hello", "payload": {"name": "Ada"}}),
        )
        for path, body in bodies:
            url = f"{host.flyte_url}/v1/{path}"
            requests.post(url, json=body, timeout=PATIENCE_SECONDS).raise_for_status()
        wait_until(lambda: "SUCCESS" in audit_of(host, "hello"), "the action has ended")
        yield host


def step_of(name: str, pack: str) -> dict[str, Any]:
    event, command = {"packName": "Me", "name": "Hello"}, {"packName": pack, "name": "Shell"}
    return {"name": name, "steps": [{"id": "only", "event": event, "command": command}]}


def audit_of(host: Serving, flow: str) -> str:
    url = f"{host.flyte_url}/v1/audit/flows?flowName={flow}"
    return requests.get(url, timeout=PATIENCE_SECONDS).text


def health_url(host: Serving) -> str:
    begin = "health pages at "
    [line] = [each["message"] for each in host.log if each["message"].startswith(begin)]
    return str(line.removeprefix(begin))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/executions/{hello}", "flyte-host journal show r"),
        ("/executions/{wrong}", "no pack 'Shel' is registered"),
        ("/packs/Shell", "Input of Shell"),
        ("/journal", "nothing: flyte has it all"),
        ("/", "1 action waits for Shel.Shell"),
        ("/flows/hello", "current"),
        ("/status", "1 action waits for Shel.Shell"),
    ],
)
def test_a_page_of_a_host_can_be_used_by_everybody(
    served: Serving, page: Page, path: str, words: str
) -> None:
    ids = {
        flow: json.loads(audit_of(served, flow))["flows"][0]["correlationId"]
        for flow in ("hello", "wrong")
    }
    page.resize(400, 800)
    base = health_url(served) if path == "/status" else served.flyte_url

    def shows_the_words() -> bool:
        page.type_address(base + path.format(**ids))
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        return words in text_of(page)

    wait_until(shows_the_words, f"{path} shows {words!r}")  # a result may be on its way to flyte
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(page) == []
    page.resize(400, 800, is_dark=True)
    assert violations(page, "color-contrast") == []


def violations(page: Page, *rules: str) -> Any:
    """What axe finds by these of its rules, or by all of them."""
    if page.evaluate("typeof axe") == "undefined":
        axe = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
        page.evaluate(axe + "; true")
    options = {"runOnly": rules} if rules else {}
    return page.evaluate(
        f"axe.run(document, {json.dumps(options)}).then(done => done.violations.map(each => "
        "[each.id, each.help, ...each.nodes.map(node => node.html)]))"
    )


def test_a_page_loads_its_style_and_script(steady_flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{steady_flyte.url}/executions")
    assert page.evaluate("document.styleSheets.length") == 1
    assert page.evaluate("typeof refresh") == "function"
    assert page.evaluate("getComputedStyle(document.querySelector('header')).display") == "flex"


def test_a_list_shows_what_is_new_without_a_reload(flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{flyte.url}/executions")
    page.evaluate("window.mark = 'not reloaded'")
    assert page.evaluate("document.querySelectorAll('#list tbody tr').length") == 1
    flyte.send_event("Q", "Go", {"who": "Bob"})
    wait_until(
        lambda: page.look("document.querySelectorAll('#list tbody tr').length") == 2,
        "the list shows the second execution",
    )
    assert page.evaluate("window.mark") == "not reloaded"


def test_a_list_is_filtered_by_its_form(steady_flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{steady_flyte.url}/executions")
    page.evaluate("document.querySelector('[name=text]').value = 'nobody'")
    page.evaluate("document.querySelector('.filters').requestSubmit()")
    wait_until(
        lambda: "text=nobody" in (page.look("location.search") or ""), "the filter is in the URL"
    )
    wait_until(lambda: "none" in text_of(page), "nothing fits")


def test_an_event_is_tried_on_a_flow(steady_flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{steady_flyte.url}/flows/f")
    assert "Ada" in page.evaluate("document.querySelector('textarea').value")
    page.evaluate("document.querySelector('form').requestSubmit()")
    wait_until(lambda: "What would run" in text_of(page), "the outcome is shown")
    assert '"input": "Ada"' in text_of(page)
    assert len(KitClient(steady_flyte.url).executions("f")) == 1


def test_the_keyboard_is_enough(steady_flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{steady_flyte.url}/")
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(3):
        page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Flows"
    page.press("Enter")
    wait_until(lambda: page.look("location.pathname") == "/flows", "Enter follows the link")


def test_what_somebody_opened_stays_open(flyte: FlyteServer, page: Page) -> None:
    page.type_address(f"{flyte.url}/executions/{execution_of(flyte)}")
    page.evaluate("document.querySelector('#trigger').open = true")
    KitClient(flyte.url).post("/v1/packs/Q/actions/take", None)
    wait_until(lambda: "PENDING" in text_of(page), "the page shows that the action was taken")
    assert page.evaluate("document.querySelector('#trigger').open") is True
