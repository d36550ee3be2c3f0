"""Failing tests of each kind; test_explanations.py runs them and reads what they print."""

from pathlib import Path

from flyte_host.testing import FlyteCall, FlyteRunHost, FlyteServer
from tests.testing.golden_pack import PAGED, BrokenPack, PageInput, PagerPack

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


def test_misspelt_key_of_a_table(flyte_run_host: FlyteRunHost) -> None:
    flyte_run_host({"pager": PagerPack}, packs={"pager": {"setings": {}}}, max_concurent=2)


def test_settings_that_are_not_a_table(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": "ops"}, settings=PageInput("ops"))  # type: ignore[arg-type]


def test_misspelt_command(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Pge", {"team": "ops"})


def test_command_that_is_not_a_text(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, PAGED, "Page")  # type: ignore[arg-type]


def test_event_of_a_pack_that_is_not_there(
    flyte_server: FlyteServer, flyte_run_host: FlyteRunHost
) -> None:
    flyte_run_host({"pager": PagerPack})
    flyte_server.send_event("pager", "Burning")


def test_input_that_is_not_json(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": Path("ops")})


def test_input_of_a_run_that_is_not_json(flyte_server: FlyteServer) -> None:
    flyte_server.run("Pager", "Page", {"since": [float("nan")]})


def test_payload_of_an_event_that_is_not_json(flyte_server: FlyteServer) -> None:
    flyte_server.send_event("Pager", "Burning", {"where": [{2}, {("a", "b"): 1}]})


def test_expecting_a_definition(flyte_call: FlyteCall) -> None:
    flyte_call(PagerPack, "Page", {"team": "ops"}).expect(PAGED)  # type: ignore[arg-type]


def test_plugin_that_is_broken(flyte_call: FlyteCall) -> None:
    flyte_call(BrokenPack, "Page")


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
