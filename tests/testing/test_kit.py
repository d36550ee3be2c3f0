"""The fixtures that plugin authors get: what they do, and what they say when a test is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests

import flyte_host.testing
from flyte_host import Action, Command, Event, EventDef, NotSetUp, PackDef, hookimpl
from flyte_host.errors import PluginError
from flyte_host.testing import (
    FlyteCall,
    FlyteRunHost,
    FlyteRunObserver,
    FlyteServer,
    wait_until,
)
from flyte_host.testing.faulty_app import Request
from flyte_host.testing.heard_event import differences, plain
from flyte_host.testing.kit_client import KitClient
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.script import run_script

SAID = EventDef("Said")


class Parrot:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._word = settings.get("word", "")

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Parrot", commands=[Command("say", self.say, [SAID])])

    def say(self, input: Any) -> Event:
        return SAID({"said": input, "word": self._word})


class TellsItsName:
    """Says which name its pack has."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Named", commands=[Command("whose", self.whose, [SAID])])

    def whose(self, input: Any, action: Action) -> Event:
        return SAID(action.pack)


class KitAddOn:
    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Iterable[Command]:
        return [Command("whose", lambda _: SAID(pack.name), [SAID])]


def test_a_call_goes_through_decoding_and_encoding(flyte_call: Callable[..., Any]) -> None:
    event = flyte_call(Parrot, "say", ("a", 1), settings={"word": "w"})
    assert (event.name, event.payload) == ("Said", {"said": ["a", 1], "word": "w"})


def test_a_call_of_a_command_that_is_not_there(flyte_call: Callable[..., Any]) -> None:
    with pytest.raises(LookupError, match=r"no command 'sing'; the pack has \['say'\]"):
        flyte_call(Parrot, "sing")


def test_a_call_of_a_broken_plugin(flyte_call: Callable[..., Any]) -> None:
    with pytest.raises(PluginError, match="the plugin is broken: has none of the hooks"):
        flyte_call(object(), "say")


def test_an_add_on_is_called_beside_a_bare_pack(flyte_call: Callable[..., Any]) -> None:
    assert flyte_call(KitAddOn, "whose").payload == "Bare"


@pytest.mark.parametrize(
    "input", ["{{ 7 }} {% if %} {# c #}", {"a": ["{{ b }}", 1.5, True]}, [[]], None, 7]
)
def test_an_input_arrives_as_it_is_written(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., Any], input: Any
) -> None:
    """flyte renders inputs as templates; a test means what it says."""
    flyte_run_host({"parrot": Parrot})
    said = flyte_server.run("Parrot", "say", input).payload["said"]
    assert said == input


def test_an_input_that_flyte_cannot_give_is_told(flyte_server: FlyteServer) -> None:
    with pytest.raises(AssertionError, match=r"flyte made no action of it: .*null in a list"):
        flyte_server.run("Parrot", "say", [None])


def test_labels_choose_the_instance(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., Any]
) -> None:
    packs = {
        env: {"plugin": "parrot", "labels": {"env": env}, "settings": {"word": env}}
        for env in ("dev", "prod")
    }
    flyte_run_host({"parrot": Parrot}, packs)
    flow = flyte_server.queue("Parrot", "say", labels={"env": "prod"})
    assert flyte_server.finished(flow).payload["word"] == "prod"


def test_a_host_registers_again_what_flyte_forgot(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., Any]
) -> None:
    flyte_run_host({"parrot": Parrot}, poll_interval_seconds=0.1)
    flyte_server.forget("Parrot")
    wait_until(lambda: "Parrot" in flyte_server.packs(), "registered again")


def test_an_event_of_a_pack_at_a_flyte_without_any(flyte_server: FlyteServer) -> None:
    with pytest.raises(LookupError, match=r"^no pack 'Parrot' is registered; registered: none$"):
        flyte_server.send_event("Parrot", "Said")


def test_a_page_is_read_with_and_without_its_slash(flyte_run_host: Callable[..., Any]) -> None:
    host = flyte_run_host({"parrot": Parrot})
    assert host.page("packs/parrot") == host.page("/packs/parrot")
    assert host.page("")[0] == host.page("/")[0] == 200


def test_an_event_that_never_comes_is_told_with_what_came(flyte_server: FlyteServer) -> None:
    with pytest.raises(AssertionError, match=r"no event Said of Parrot within 0 s\n  packs: none"):
        flyte_server.wait_for_event("Parrot", "Said", timeout_seconds=0)


def test_a_host_that_gets_not_ready_says_why(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., Any]
) -> None:
    flyte_server.close()
    host = flyte_run_host({"parrot": Parrot}, wait_ready=False)
    with pytest.raises(
        AssertionError, match=r"the host is ready\n(.*\n)* +/ready: flyte: not reachable"
    ):
        host.wait_ready(timeout_seconds=0.3)


def test_a_call_of_an_add_on_goes_to_the_pack_that_is_named(flyte_call: FlyteCall) -> None:
    assert flyte_call(KitAddOn, "whose", pack="Jira").payload == "Jira"
    assert flyte_call(KitAddOn, "whose", pack=PackDef("Ops")).payload == "Ops"


def test_a_pack_can_have_another_name_in_a_call(flyte_call: FlyteCall) -> None:
    assert flyte_call(TellsItsName, "whose", pack="Other").payload == "Other"
    with pytest.raises(PluginError, match="the plugin owns a pack: give its name as pack, or none"):
        flyte_call(TellsItsName, "whose", pack=PackDef("Other"))


def test_what_is_expected_is_given_back(flyte_call: FlyteCall) -> None:
    called = flyte_call(Parrot, "say", 7)
    assert called.expect("Said") == {"said": 7, "word": ""}
    assert called.expect("Said", {"said": 7, "word": mock.ANY}) == called.payload


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ([1], [1, 2], ["payload: expected 1 items, found 2"]),
        ((1, {"a": None}), [1, {"a": 0}], ["payload[1].a: expected null, found 0"]),
        (True, 1, ["payload: expected true, found 1"]),
        ({"a": 1}, {"b": 1}, [
            "payload.a: expected 1, found nothing", "payload.b: expected nothing, found 1"
        ]),
        (SAID, {"name": "Said", "help_url": None}, []),
        ("x" * 600, "", [f'payload: expected "{"x" * 499} …, found ""']),
    ],
)  # fmt: skip
def test_payloads_are_compared_as_json(expected: Any, found: Any, said: list[str]) -> None:
    assert list(differences(plain(expected), found, "payload")) == said


def test_a_host_with_a_plugin_that_lacks_its_settings_raises(
    flyte_run_host: FlyteRunHost,
) -> None:
    def unset(settings: dict[str, str]) -> object:
        raise NotSetUp(f"url: missing, found {settings}")

    with pytest.raises(PluginError, match="not served: other: url: missing"):
        flyte_run_host({"parrot": Parrot, "other": unset})


def test_a_host_serves_beside_a_broken_plugin_when_it_is_not_waited_for(
    flyte_server: FlyteServer, flyte_run_host: FlyteRunHost
) -> None:
    flyte_run_host({"parrot": Parrot, "broken": object()}, wait_ready=False)
    assert flyte_server.run("Parrot", "say", 7).expect("Said") == {"said": 7, "word": ""}


def test_results_wait_while_flyte_is_away(
    flyte_server: FlyteServer, flyte_run_host: FlyteRunHost
) -> None:
    host = flyte_run_host({"parrot": Parrot}, poll_interval_seconds=0.1)
    with flyte_server.away():
        wait_until(lambda: host.page("/ready")[0] != 200, "the host notices")
        flow = flyte_server.queue("Parrot", "say", 7)
    assert flyte_server.finished(flow).expect("Said")["said"] == 7


def test_a_host_goes_on_when_the_token_is_good_again(
    flyte_server: FlyteServer, flyte_run_host: FlyteRunHost
) -> None:
    host = flyte_run_host({"parrot": Parrot}, poll_interval_seconds=0.1)
    with flyte_server.token_expired():
        wait_until(lambda: "401" in str(host.page("/ready")), "the host notices")
    host.wait_ready()


def test_a_result_that_flyte_has_although_it_answered_500_is_delivered_once(
    flyte_server: FlyteServer, flyte_run_host: FlyteRunHost
) -> None:
    flyte_run_host({"parrot": Parrot})
    flyte_server.fail_after_commit("result")
    assert flyte_server.run("Parrot", "say", 7).expect("Said")["said"] == 7
    assert [name for _, name, _ in flyte_server.events("Parrot")] == ["Said"]


@pytest.mark.parametrize("request_kind", ["registration", "event"])
def test_other_requests_fail_after_their_commit_too(
    flyte_server: FlyteServer, request_kind: Request
) -> None:
    path, document = {
        "registration": ("/v1/packs", b'{"name": "P"}'),
        "event": ("/v1/packs/P/events", b'{"event": "E", "payload": 1}'),
    }[request_kind]
    KitClient(flyte_server.url).post("/v1/packs", {"name": "P"})
    flyte_server.fail_after_commit(request_kind, times=2)
    answers = [
        requests.post(flyte_server.url + path, data=document, timeout=PATIENCE_SECONDS).status_code
        for _ in range(3)
    ]
    assert answers[:2] == [500, 500]
    assert answers[2] < 300
    assert len(flyte_server.events("P")) == (3 if request_kind == "event" else 0)


def test_a_take_can_lose_its_answer(flyte_server: FlyteServer) -> None:
    KitClient(flyte_server.url).post(
        "/v1/packs", {"name": "P", "commands": [{"name": "do", "events": ["Done"]}]}
    )
    flyte_server.queue("P", "do")
    flyte_server.fail_after_commit("take")
    take = f"{flyte_server.url}/v1/packs/P/actions/take"
    assert requests.post(take, timeout=PATIENCE_SECONDS).status_code == 500
    assert requests.post(take, timeout=PATIENCE_SECONDS).status_code == 204


def hears_nothing() -> type:
    """A broken plugin, made where each call needs one."""

    class Broken:
        @hookimpl
        def flyte_pack(self) -> object:
            return "Broken"

    return Broken


WRONG: dict[str, Callable[..., object]] = {
    "a call of a broken plugin": lambda kit: kit.call(hears_nothing(), "say"),
    "a call of nothing": lambda kit: kit.call(None, "say"),
    "a call with bad settings": lambda kit: kit.call(Parrot, "say", settings=3),
    "an input that is not JSON": lambda kit: kit.call(Parrot, "say", object()),
    "an observer of a broken plugin": lambda kit: kit.observe(hears_nothing()),
    "an observer of a plugin without": lambda kit: kit.observe(Parrot),
    "a host with a broken plugin": lambda kit: kit.host({"x": hears_nothing()}),
    "a host with a plugin alone": lambda kit: kit.host(Parrot),
    "a host with a bad table": lambda kit: kit.host({"x": Parrot}, packs={"x": {"labels": 3}}),
    "a flow that is none": lambda kit: kit.server.put_flow("name: ["),
    "a flow without steps": lambda kit: kit.server.put_flow({"name": "x"}),
    "an action with a bad input": lambda kit: kit.server.queue("P", "c", object()),
}


@dataclass
class TestKit:
    call: FlyteCall
    observe: FlyteRunObserver
    host: FlyteRunHost
    server: FlyteServer

    __test__ = False


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_test_gives_wrong_is_told_at_its_own_line(
    flyte_call: FlyteCall,
    flyte_run_observer: FlyteRunObserver,
    flyte_run_host: FlyteRunHost,
    flyte_server: FlyteServer,
    kind: str,
) -> None:
    kit = TestKit(flyte_call, flyte_run_observer, flyte_run_host, flyte_server)
    with pytest.raises(Exception) as raised:
        WRONG[kind](kit)
    others = [each for each in raised.traceback if "test_kit" not in str(each.path)]
    assert others
    assert [each for each in others if not each.ishidden(raised)] == []


def test_a_plugin_that_is_none_is_told(flyte_call: FlyteCall) -> None:
    with pytest.raises(PluginError, match="the plugin is None, expected a class, a factory, a"):
        flyte_call(None, "say")


@pytest.mark.parametrize("plugin", [Parrot, Parrot({}), flyte_host.testing], ids=type)
def test_a_host_needs_names_for_its_plugins(flyte_run_host: FlyteRunHost, plugin: Any) -> None:
    with pytest.raises(TypeError) as raised:
        flyte_run_host(plugin)
    assert "expected plugins by the names of their entry points, such as" in str(raised.value)
    assert getattr(plugin, "__name__", "Parrot") in str(raised.value)


def test_the_public_names_are_complete_sorted_and_lazy() -> None:
    assert sorted(flyte_host.testing.__all__) == flyte_host.testing.__all__
    assert {*flyte_host.testing.__all__} < {*dir(flyte_host.testing)}
    for name in flyte_host.testing.__all__:
        assert getattr(flyte_host.testing, name).__name__ == name
    with pytest.raises(AttributeError, match=r"module 'flyte_host.testing' has no attribute 'no'"):
        _ = flyte_host.testing.no


def test_a_call_brings_no_host_and_no_web_server() -> None:
    script = "from flyte_host.testing import FlyteCall; import sys; print(*sys.modules)"
    done = run_script(script)
    assert not {"flyte_host.host", "flyte_host.embedded", "uvicorn"} & {*done.stdout.split()}


def test_the_plugin_touches_no_suite_that_does_not_use_it(tmp_path: Path) -> None:
    """No autouse fixture, nothing of the host imported, all fixtures named flyte_…"""
    [entry] = entry_points(group="pytest11", name="flyte_host")
    assert entry.value == os.environ["PYTEST_PLUGINS"]
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_nothing(request):\n"
        "    assert request.fixturenames == ['request']\n"
        "    assert 'flyte_host.host' not in sys.modules\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--fixtures-per-test",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout
