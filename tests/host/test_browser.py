"""A real browser opens pages of other sites, and none of their requests gets through.

Between it and the host is a relay, which sees each request and the status of its answer; so a
request that the browser itself holds back proves nothing, and fails the test.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import requests

from flyte_host.testing.waiting import wait_until
from tests.support.chromium import MISSING, Page, find_chromium
from tests.support.hostile_site import HostileSite, hostile_page
from tests.support.serving import Serving

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason=MISSING),
    pytest.mark.xdist_group("browser"),
]

CONFIG = """
[flyte.embedded]
listen = "127.0.0.1:0"
flows = ["trap.yaml"]
hosts = ["named.example"]
[health]
listen = "127.0.0.1:0"
[packs.jira]
enabled = false
[packs.ticker]
enabled = false
"""
TRAP = """
name: trap
steps:
  - id: run
    event: {packName: Me, name: Hello}
    command: {packName: Shell, name: Shell, input: touch sprung}
"""
POSTS = {
    "/v1/flows": '{"name": "NAME", "steps": []}',
    "/v1/packs": '{"name": "NAME", "events": [], "commands": []}',
    "/v1/packs/Me/events": '{"event": "Hello", "payload": {}}',
    "/v1/packs/Me/actions/take": "{}",
}
ONE_POST = {"/v1/flows": POSTS["/v1/flows"]}
"""What a browser says of a sender is the same for every path."""
XSS = """<!doctype html><title>held</title><script>
document.title = "ran";
fetch("/v1/flows?try=xss", {method: "POST", body: '{"name": "xss", "steps": []}'});
</script><img src="/v1/flows?try=xss-image">"""
NULL_ORIGIN = "sandboxed frame"
SENDERS = {
    "fetch no-cors", "fetch cors", "fetch without referrer", "fetch with credentials",
    "fetch keepalive", "fetch redirected", "xhr", "beacon", "form", "form redirected", "worker",
}  # fmt: skip


class AttackedHost(NamedTuple):
    """A whole host, and the relays before its two servers."""

    folder: Path
    flyte_url: str
    flyte: HostileSite
    health: HostileSite

    def state(self) -> dict[str, Any]:
        """What a request could have changed. A take shows in when the pack was last seen."""
        packs = {each["name"]: each for each in self._get("packs")["packs"]}
        return {
            "flows": {each["name"] for each in self._get("flows")["flows"]},
            "packs": set(packs),
            "last take of Me": packs["Me"].get("lastSeen"),
            "datastore": self._get("datastore"),
            "audit": self._get("audit/flows"),
            "sprung": (self.folder / "sprung").exists(),
        }

    def _get(self, path: str) -> Any:
        answer = requests.get(f"{self.flyte_url}/v1/{path}", timeout=30)
        assert answer.status_code == 200
        return answer.json()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedHost]:
    folder = tmp_path_factory.mktemp("host")
    (folder / "flyte-host.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "trap.yaml").write_text(TRAP, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    with (
        Serving(folder, environ) as host,
        HostileSite(host.flyte_url, {"/item": XSS}) as flyte,
        HostileSite(host.health_url) as health,
    ):
        host.wait_ready()
        requests.post(f"{host.flyte_url}/v1/packs", json={"name": "Me"}, timeout=30)
        yield AttackedHost(folder, host.flyte_url, flyte, health)


@pytest.fixture(scope="module")
def evil() -> Iterator[HostileSite]:
    with HostileSite() as site:
        yield site


def send_all(
    page: Page,
    relay: HostileSite,
    target: str,
    redirector: str,
    *,
    read: str = "/v1/flows",
    posts: dict[str, str] = ONE_POST,
) -> dict[str, str]:
    """Send all that a page can to ``target``; what it could read of the answers, by name."""
    relay.seen.clear()
    what = {"target": target, "read": read, "posts": posts, "redirector": redirector}
    outcomes = page.evaluate(f"sendAll({json.dumps(what)})")
    assert isinstance(outcomes, dict)
    wait_for_arrival(relay, set(outcomes))
    return outcomes


def wait_for_arrival(relay: HostileSite, names: set[str]) -> None:
    try:
        wait_until(lambda: relay.names() >= names, "all arrive")
    except AssertionError:
        raise AssertionError(f"never arrived: {sorted(names - relay.names())}") from None


def assert_all_refused(relay: HostileSite, outcomes: dict[str, str], status: int) -> None:
    assert [each for each in relay.seen if each.status != status] == []
    assert {name: found for name, found in outcomes.items() if found} == {}


@pytest.fixture
def foreign_pages(evil: HostileSite, tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "page.html"
    file.write_text(hostile_page(), encoding="utf-8")
    return {
        "another name": f"{evil.url('evil.example')}/page",
        "another port": f"{evil.url()}/page",
        "localhost": f"{evil.url('localhost')}/page",
        "a file": file.as_uri(),
    }


@pytest.mark.parametrize(
    ("origin", "posts"),
    [
        ("another name", POSTS),
        ("another port", ONE_POST),
        ("localhost", ONE_POST),
        ("a file", ONE_POST),
    ],
    ids=["another name", "another port", "localhost", "a file"],
)
def test_a_page_of_another_origin_gets_nothing_through(
    page: Page,
    attacked: AttackedHost,
    evil: HostileSite,
    foreign_pages: dict[str, str],
    *,
    origin: str,
    posts: dict[str, str],
) -> None:
    before = attacked.state()
    page.type_address(foreign_pages[origin])
    redirector = evil.url("evil.example")
    outcomes = send_all(page, attacked.flyte, attacked.flyte.url(), redirector, posts=posts)
    assert_all_refused(attacked.flyte, outcomes, 403)
    assert attacked.state() == before


def test_a_page_of_another_origin_does_not_reach_the_health_pages(
    page: Page, attacked: AttackedHost, evil: HostileSite
) -> None:
    page.type_address(f"{evil.url('evil.example')}/page")
    redirector = evil.url("evil.example")
    outcomes = send_all(page, attacked.health, attacked.health.url(), redirector, read="/ready")
    assert_all_refused(attacked.health, outcomes, 403)


def test_under_a_name_of_its_own_nothing_can_be_changed_or_read(
    page: Page, attacked: AttackedHost, evil: HostileSite
) -> None:
    """To a name without TLS browsers send a plain GET with neither of the two headers."""
    before = attacked.state()
    named, redirector = attacked.flyte.url("named.example"), evil.url("evil.example")
    page.type_address(f"{redirector}/page")
    outcomes = send_all(page, attacked.flyte, named, redirector, posts=POSTS)
    passed = [each for each in attacked.flyte.seen if each.status != 403]
    assert {each.method for each in passed} == {"GET"}
    assert {name: found for name, found in outcomes.items() if found} == {}
    assert attacked.state() == before


def test_a_name_that_was_rebound_gets_nothing_through(
    page: Page, attacked: AttackedHost, evil: HostileSite
) -> None:
    """The browser takes the page for one of the server's: it may read every answer."""
    before = attacked.state()
    for relay, read in ((attacked.flyte, "/v1/flows"), (attacked.health, "/ready")):
        own = relay.url("rebind.example")
        page.type_address(f"{own}/page")
        assert_all_refused(relay, send_all(page, relay, own, own, read=read), 421)
    assert attacked.state() == before


def test_the_same_page_of_the_host_itself_works(page: Page, attacked: AttackedHost) -> None:
    """So the requests that others may not send do not fail for another reason."""
    own = attacked.flyte.url()
    page.type_address(f"{own}/page")
    outcomes = send_all(page, attacked.flyte, own, own, posts=POSTS)
    refused = {each.name for each in attacked.flyte.seen if each.status in {403, 421}}
    # A frame in a sandbox is of no origin, not even of that of the page around it.
    assert refused == {f"{NULL_ORIGIN} to {path}" for path in POSTS}
    assert '"trap"' in outcomes["get by fetch cors"]
    assert attacked.state()["flows"] >= SENDERS
    wait_until(lambda: attacked.state()["sprung"], "the event runs a command")


def test_a_page_in_the_datastore_runs_no_script(page: Page, attacked: AttackedHost) -> None:
    item = {"value": ("x", XSS, "text/html")}
    assert requests.put(f"{attacked.flyte_url}/v1/datastore/x", files=item, timeout=30).ok
    attacked.flyte.seen.clear()
    page.type_address(f"{attacked.flyte.url()}/v1/datastore/x?try=item")
    assert attacked.flyte.seen == [("item", "GET", 200)]
    assert page.evaluate("document.title") == "held"
    page.type_address(f"{attacked.flyte.url()}/item")
    assert page.evaluate("document.title") == "ran"
    # The same page outside of the datastore came later, and all requests are its own.
    wait_for_arrival(attacked.flyte, {"xss", "xss-image"})
    assert [each.name for each in attacked.flyte.seen].count("xss") == 1
    assert [each.name for each in attacked.flyte.seen].count("xss-image") == 1


def test_a_typed_address_is_answered(page: Page, attacked: AttackedHost) -> None:
    for relay, path in ((attacked.flyte, "/v1/flows"), (attacked.health, "/live")):
        relay.seen.clear()
        page.type_address(f"{relay.url()}{path}?try=typed")
        assert relay.seen == [("typed", "GET", 200)]
        assert relay.headers["typed"]["Sec-Fetch-Site"] == "none"


def test_an_address_that_leads_elsewhere_is_answered_to_the_person_only(
    page: Page, attacked: AttackedHost, evil: HostileSite
) -> None:
    """A browser says of it what it says of a typed address; so it must not be more than a GET."""
    attacked.flyte.seen.clear()
    to = quote(f"{attacked.flyte.url()}/v1/flows?try=led")
    page.type_address(f"{evil.url('evil.example')}/redirect?to={to}")
    assert attacked.flyte.seen == [("led", "GET", 200)]
    assert attacked.flyte.headers["led"]["Sec-Fetch-Site"] == "none"
