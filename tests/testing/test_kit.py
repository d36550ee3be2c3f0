"""The fixtures that plugin authors get: what they do, and what they say when a test is wrong."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.errors import PluginError
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import wait_until

SAID = EventDef("Said")


class Parrot:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._word = settings.get("word", "")

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Parrot", commands=[Command("say", self.say, [SAID])])

    def say(self, input: Any) -> Event:
        return SAID({"said": input, "word": self._word})


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


def test_an_event_that_never_comes_is_told_with_what_came(flyte_server: FlyteServer) -> None:
    with pytest.raises(AssertionError, match=r"no event Said of Parrot within 0 s; seen: \[\]"):
        flyte_server.wait_for_event("Parrot", "Said", timeout_seconds=0)


def test_a_host_that_gets_not_ready_says_why(
    flyte_server: FlyteServer, flyte_run_host: Callable[..., Any]
) -> None:
    flyte_server.close()
    host = flyte_run_host({"parrot": Parrot}, wait_ready=False)
    with pytest.raises(AssertionError, match=r"the host is ready.*not reachable"):
        host.wait_ready(timeout_seconds=0.3)


def test_the_plugin_touches_no_suite_that_does_not_use_it(tmp_path: Path) -> None:
    """No autouse fixture, nothing of the host imported, all fixtures named flyte_…"""
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
