"""Tests that fail, one of each kind; test_explanations.py runs them and reads what they print."""

from flyte_host.testing import FlyteCall, FlyteRunHost, FlyteServer
from tests.testing.golden_pack import BrokenPack, PagerPack

SHORT_SECONDS = 0.3
FLOW = """
name: page-who-is-on-call
steps:
  - id: page
    event: {packName: Shop, name: Burning}
    command: {packName: Pager, name: Page, input: {team: ops}}
"""


def test_wrong_event(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": "ops"}).expect("Queued")


def test_wrong_payload(flyte_call: FlyteCall) -> None:
    event = flyte_call(PagerPack, "Page", {"team": "ops"})
    event.expect("Paged", {"to": "bob", "urgent": False, "by": "sms"})


def test_undeclared(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Lose", 7)


def test_exception(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": "sales"}).expect("Paged")


def test_timeout(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Wait").expect("Paged")


def test_wrong_input(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": "ops", "urgent": "yes"}).expect("Paged")


def test_broken_plugin(flyte_run_host: FlyteRunHost) -> None:
    flyte_run_host({"pager": BrokenPack})


def test_plugin_that_is_not_there(flyte_run_host: FlyteRunHost) -> None:
    flyte_run_host({"pager": PagerPack}, packs={"ops": {"plugin": "pagr"}})


def test_never_called(flyte_server: FlyteServer, flyte_run_host: FlyteRunHost) -> None:
    flyte_server.put_flow(FLOW)
    flyte_run_host({"pager": PagerPack})
    flyte_server.send_event("Pager", "Burning")
    flyte_server.wait_for_event("Pager", "Paged", timeout_seconds=SHORT_SECONDS)


def test_no_such_pack(flyte_server: FlyteServer, flyte_run_host: FlyteRunHost) -> None:
    flyte_run_host({"pager": PagerPack})
    flyte_server.run("Pagr", "Page", {"team": "ops"}, timeout_seconds=SHORT_SECONDS)


def test_whole_way(flyte_server: FlyteServer, flyte_run_host: FlyteRunHost) -> None:
    flyte_run_host({"pager": PagerPack})
    flyte_server.run("Pager", "Page", {"team": "sales"}, reraise=True)


def test_flyte_is_away(flyte_server: FlyteServer, flyte_run_host: FlyteRunHost) -> None:
    with flyte_server.away():
        host = flyte_run_host({"pager": PagerPack}, wait_ready=False)
        host.wait_ready(timeout_seconds=SHORT_SECONDS)
