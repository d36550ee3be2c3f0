"""Which of the host's variables a script sees."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_shell import ShellPack, ShellSettings

Call = Callable[..., Any]

HOST = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "REGION": "eu",
    "FLYTE_JWT": "token",
    "JIRA_PASSWORD": "secret",
    "SLACK_TOKEN": "secret too",
}


def seen(call: Call, settings: ShellSettings) -> set[str]:
    _, payload = call(ShellPack(settings, HOST), "Shell", "compgen -e")
    return set(payload["stdout"].split()) & set(HOST)


def test_all_but_the_secrets_of_flyte_and_the_packs(call: Call) -> None:
    assert seen(call, ShellSettings()) == {"PATH", "LC_ALL", "REGION", "SLACK_TOKEN"}


def test_more_can_be_withheld_by_pattern(call: Call) -> None:
    settings = ShellSettings(withheld_environment=("*_JWT", "*_TOKEN", "*_PASSWORD"))
    assert seen(call, settings) == {"PATH", "LC_ALL", "REGION"}


def test_everything_as_the_go_pack_gave_it(call: Call) -> None:
    assert seen(call, ShellSettings(withheld_environment=())) == set(HOST)


def test_only_what_is_named(call: Call) -> None:
    settings = ShellSettings(environment=("PATH", "LC_*", "FLYTE_JWT"))
    assert seen(call, settings) == {"PATH", "LC_ALL"}


def test_the_hosts_own_environment_is_the_default(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_JWT", "token")
    monkeypatch.setenv("REGION", "eu")
    pack = ShellPack(ShellSettings())
    assert call(pack, "Shell", "echo $REGION-$FLYTE_JWT")[1]["stdout"] == "eu-\n"


def test_names_come_as_a_list_from_the_configuration(flyte_call: Call) -> None:
    settings = {"environment": ["PATH"], "withheld_environment": []}
    called = flyte_call(ShellPack, "Shell", "compgen -e | grep -vE '^(_|PWD|SHLVL)$'", settings)
    assert called.payload["stdout"] == "PATH\n"
