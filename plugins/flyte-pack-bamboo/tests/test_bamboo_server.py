"""Credentials, servers that misbehave, settings, the health check, and a host that stops."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_bamboo import BambooPack, BambooSettings

from flyte_host import Health
from tests.support.bad_servers import HTTP, NEEDING_PATIENCE, bad_server, closed_port
from tests.support.rest_stand_in import RestStandIn

from .bamboo_stand_in import BUILD, COMMANDS, PASSWORD, PLAN, USER, BambooServer

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., BambooPack]

GIVEN = {"build": BUILD, "plan": PLAN, "label": "x", "stage": "Build", "comment": "c"}


def health(pack: BambooPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("bamboo", False)
    return check.check()


def test_health(pack: BambooPack, served: RestStandIn) -> None:
    assert health(pack) == Health(True, f"{served.url} knows {USER}")


@pytest.mark.parametrize("kind", HTTP)
def test_servers_that_misbehave(make_pack: MakePack, call: Call, kind: str) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(HTTP[kind]) as port:
        pack = make_pack(f"http://127.0.0.1:{port}", timeout_seconds=limit)
        for command, (_, failure) in COMMANDS.items():
            assert call(pack, command, GIVEN)[0] == failure
        assert not health(pack).healthy


def test_nobody_listens(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(f"http://127.0.0.1:{closed_port()}", go_compatible=False)
    for command, (_, failure) in COMMANDS.items():
        name, payload = call(pack, command, GIVEN)
        assert name == failure
        assert "refused" in payload["error"]
    assert not health(pack).healthy


def test_a_wrong_password(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    pack = make_pack(served.url, password="wrong-secret", go_compatible=False)
    for command, (_, failure) in COMMANDS.items():
        name, payload = call(pack, command, GIVEN)
        assert name == failure
        assert "401" in payload["error"]
    refused = f"{served.url} refuses flyte with 401: check user and password"
    assert health(pack) == Health(False, refused)


def test_a_host_that_stops_makes_no_further_attempt(
    bamboo: BambooServer, served: RestStandIn, pack: BambooPack, call: Call
) -> None:
    bamboo.not_yet = 9
    stopping = threading.Event()
    stopping.set()
    pack.flyte_observe(stopping)
    stage = {"build": BUILD, "stage": "Deploy", "maxRetry": 9, "delay": 300}
    name, payload = call(pack, "StartStage", stage)
    error = "Fail: no further attempt, because the host is stopping"
    assert (name, payload["error"]) == ("FailedToStartStage", error)
    assert len(served.requests) == 1


ENVIRONMENT = {"BAMBOO_HOST": "https://env", "BAMBOO_USER": "envuser", "BAMBOO_PASS": "envpassword"}


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    found = BambooSettings().completed(ENVIRONMENT)
    assert found == BambooSettings("https://env", "envuser", "envpassword")
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    assert BambooPack(BambooSettings()).flyte_pack().name == "Bamboo"


def test_settings_reach_the_connection() -> None:
    settings = BambooSettings("https://x", USER, PASSWORD, 3, verify=False, ca_file="ca.pem")
    target = settings.target()
    assert (target.timeout_seconds, target.verify, target.ca_file) == (3, False, "ca.pem")
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"url": "https://x", "user": "u"},
            "password: missing; set it in the pack's settings or a",
        ),
        ({"url": "x", "user": "u", "password": "p"}, "url: found 'x', expected one like 'https://"),
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"max_retry_seconds": -1}, "max_retry_seconds: found -1, expected more than 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        BambooPack(BambooSettings(**settings), {})
    assert str(raised.value).startswith(text)
