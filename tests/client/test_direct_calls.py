"""Calls to a flyte in this process: which of them go there, and what happens to its answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flyte_host.client import wire
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.token import Token
from flyte_host.errors import FlyteAway, FlyteFailed, FlyteUnauthorized
from flyte_host.model import EventDef, Registration
from flyte_host.secrets import SecretRef
from tests.support.host_parts import client_for
from tests.support.scripted_server import ScriptedServer, action, reply

URL = "http://127.0.0.1:1"
REGISTRATION = Registration("M", f"{URL}/v1/packs/M/actions/take", f"{URL}/v1/packs/M/events")
BODY = wire.encode_event(EventDef("Done")(1), datetime(2026, 11, 23, tzinfo=UTC))


class ScriptedApplication:
    """Answers every call alike, and keeps what was asked."""

    def __init__(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self._answer = (status, headers, body)

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.asked.append((method, target, headers, body))
        return self._answer

    def client(self, token: Token | None = None) -> FlyteClient:
        return client_for(URL, application=self, token=token)


def test_application_is_asked_what_would_be_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret", encoding="utf-8")
    flyte = ScriptedApplication(200, action(URL, "M", "6b04"))
    taken = flyte.client(Token(SecretRef(file=tmp_path / "token"), {})).take(REGISTRATION)
    assert taken is not None
    assert taken.id == "6b04"
    ((method, target, headers, body),) = flyte.asked
    assert (method, target, body) == ("POST", "/v1/packs/M/actions/take", b"null")
    assert headers["authorization"] == "Bearer secret"
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == "4"


def test_a_request_without_a_body_has_none() -> None:
    href = f"{URL}/health"
    document = f'{{"links": [{{"href": "{href}", "rel": "x/info/health"}}]}}'
    flyte = ScriptedApplication(200, document.encode())
    flyte.client().health()
    assert [(method, target, body) for method, target, _, body in flyte.asked] == [
        ("GET", "/v1", b""),
        ("GET", "/health", b""),
    ]


def test_answers_mean_what_they_mean_on_the_wire() -> None:
    with pytest.raises(FlyteFailed, match="was answered with 500"):
        ScriptedApplication(500).client().take(REGISTRATION)
    refusal = ScriptedApplication(401, b"", **{"www-authenticate": 'Bearer error="invalid_token"'})
    with pytest.raises(FlyteUnauthorized, match="says the token is invalid"):
        refusal.client().take(REGISTRATION)


def test_a_link_that_leads_elsewhere_goes_over_the_wire() -> None:
    flyte = ScriptedApplication(500)
    with ScriptedServer() as elsewhere:
        elsewhere.on("POST /result", reply(202))
        client = flyte.client()
        client.post_result(f"{elsewhere.url}/result", BODY)
        client.close()
        assert [seen.body for seen in elsewhere.requests] == [BODY]
    assert flyte.asked == []


def test_an_application_that_was_stopped_is_away_and_got_nothing() -> None:
    def stopped(*_: object) -> tuple[int, Mapping[str, str], bytes]:
        raise ConnectionRefusedError

    with pytest.raises(FlyteAway, match=r"connection refused by 127\.0\.0\.1:1") as caught:
        client_for(URL, application=stopped).take(REGISTRATION)
    assert not caught.value.may_have_arrived
