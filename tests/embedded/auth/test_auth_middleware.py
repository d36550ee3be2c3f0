"""flyte's API behind a policy: real requests over HTTP, with tokens of a real issuer."""

import http.client
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.config import AuthConfig
from flyte_host.embedded.auth import AuthMiddleware, read_access
from flyte_host.errors import ConfigError
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.web.web_server import WebServer
from tests.support.issuer import AUDIENCE, Issuer, claims, key_set, rsa_key

POLICY = """
- path: /health
- path: /v1
  methods: [GET]
- path: /v1/packs/:packId/events
  claims: {pack: [':packId'], role: [admin]}
- path: /v1/packs/:packId/actions/take
  claims: {':packId': [taker]}
- path: /v1/datastore/:key
  methods: [GET]
- path: /v1/*
  claims: {role: [admin]}
"""
KEY = rsa_key()
ASK = 'Bearer realm="token"'
ASK_FOR_ANOTHER = 'Bearer realm="token", error="invalid_token"'


class GuardedAnswer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.challenge = response.headers["WWW-Authenticate"]
        self.retry_after = response.headers["Retry-After"]
        self.body = response.read()


class Protected:
    """An embedded flyte with packs Mine and Other, called with paths exactly as written."""

    def __init__(self, flyte: Any, config: AuthConfig) -> None:
        self.flyte = flyte
        app = AuthMiddleware(flyte.flyte.asgi, read_access(config, at="auth"))
        self._server = WebServer(app, ("127.0.0.1", 0), name="f")
        self._server.start()
        self.address = self._server.url.removeprefix("http://")

    def __call__(
        self, method: str, path: str, token: str = "", body: Any = None, **headers: str
    ) -> GuardedAnswer:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)
        try:
            sent = {"Authorization": f"Bearer {token}"} if token else {}
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, sent | headers)
            return GuardedAnswer(connection.getresponse())
        finally:
            connection.close()

    def stop(self) -> None:
        self._server.stop()


Serve = Callable[..., Protected]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer([KEY])
    yield issuer
    issuer.stop()


@pytest.fixture
def serve(start: Callable[..., Any], tmp_path: Path) -> Iterator[Serve]:
    serving: list[Protected] = []
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")

    def serve(**config: Any) -> Protected:
        flyte = start()
        flyte.pack("Mine")
        flyte.pack("Other")
        made = AuthConfig(tmp_path / "policy.yaml", AUDIENCE, **config)
        serving.append(Protected(flyte, made))
        return serving[-1]

    yield serve
    for each in serving:
        each.stop()


@pytest.fixture
def flyte(serve: Serve, tmp_path: Path) -> Protected:
    """Behind the policy above, with the keys of a file."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(key_set(KEY)), encoding="utf-8")
    return serve(jwks_file=keys)


def token(**over: Any) -> str:
    return KEY.sign(claims(**over))


def test_rules_without_claims_need_no_token(flyte: Protected) -> None:
    assert flyte("GET", "/health").status == 200
    assert flyte("GET", "/v1").status == 200
    assert flyte("GET", "/v1", "garbage").status == 200
    assert flyte("GET", "/v1/datastore/missing").status == 404


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        ({}, ASK),
        ({"Authorization": "Basic YWRhOmFkYQ=="}, ASK),
        ({"Authorization": "Bearer"}, ASK),
        ({"Authorization": "Bearer  "}, ASK),
        ({"Authorization": "Bearer garbage"}, ASK_FOR_ANOTHER),
        ({"Authorization": f"Bearer {token(exp=1_000_000_000)}"}, ASK_FOR_ANOTHER),
        ({"Authorization": f"Bearer {token(aud='other')}"}, ASK_FOR_ANOTHER),
        ({"Authorization": f"Bearer {token()}"}, None),
        ({"Authorization": f"Bearer {token(role='user')}"}, None),
    ],
    ids=range(9),
)
def test_a_refusal_says_what_is_asked_for(
    flyte: Protected, authorization: dict[str, str], challenge: str | None
) -> None:
    answer = flyte("GET", "/v1/packs", **authorization)
    assert (answer.status, answer.challenge) == (401, challenge)
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_with_the_claim_gets_through(flyte: Protected, scheme: str) -> None:
    answer = flyte("GET", "/v1/packs", Authorization=f"{scheme} {token(role='admin')}")
    assert answer.status == 200
    assert {pack["name"] for pack in json.loads(answer.body)["packs"]} == {"Mine", "Other"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/swagger"),
        ("GET", "/v2"),
        ("POST", "/v1"),
        ("POST", "/health/x"),
        ("HEAD", "/health"),
        ("OPTIONS", "/v1/flows"),
        ("PROPFIND", "/v1"),
        ("TRACE", "/v1/packs"),
    ],
)
def test_unknown_paths_and_methods_are_401_even_with_a_good_token(
    flyte: Protected, method: str, path: str
) -> None:
    answer = flyte(method, path, token(role="admin"))
    assert (answer.status, answer.challenge) == (401, None)


EVENT = {"event": "E"}


def test_the_path_says_which_claim_is_needed(flyte: Protected) -> None:
    assert flyte("POST", "/v1/packs/Mine/events", token(pack="Mine"), EVENT).status == 202
    assert flyte("POST", "/v1/packs/Other/events", token(pack="Mine"), EVENT).status == 401
    assert flyte("POST", "/v1/packs/Other/events", token(role="admin"), EVENT).status == 202
    assert flyte("POST", "/v1/packs/Mine/actions/take", token(Mine="taker")).status == 204
    assert flyte("POST", "/v1/packs/Other/actions/take", token(Mine="taker")).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/packs/Other/events?:packId=Mine",
        "/v1/packs/Other/events?packId=Mine&%3ApackId=Mine",
        "/v1/packs/Other%2Fevents",
        "/v1/packs/Mine/../Other/events",
        "/v1/packs/Mine/%2e%2e/Other/events",
        "/v1/packs/Mine%2F..%2FOther%2Fevents",
        "/v1/packs/Mine/./events",
        "/v1/packs//Other/events",
        "//v1/packs/Other/events",
        "//Mine/v1/packs/Other/events",
        "/v1/packs/Other/events/",
        "/v1/packs/%4fther/events",
        "/v1/packs/Other;packId=Mine/events",
        "/v1/packs/%FF/events",
        "/v1/packs/Mine%00/events",
        "/v1/packs/Other/events#/Mine",
        "/V1/packs/Other/events",
        "http://Mine/v1/packs/Other/events",
    ],
)
def test_no_spelling_of_a_path_gets_round_the_policy(flyte: Protected, path: str) -> None:
    assert flyte("POST", path, token(pack="Mine"), EVENT).status == 401


def test_a_query_and_an_encoding_do_not_change_who_is_meant(flyte: Protected) -> None:
    mine = token(pack="Mine")
    heard: list[str] = []
    for path in ("/v1/packs/Mine/events?:packId=Other", "/v1/packs/%4Dine%2Fevents"):
        answer = flyte("POST", path, mine, EVENT)
        heard.append(str(answer.status))
    assert heard == ["202", "202"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datastore/../packs",
        "/v1/datastore/..%2Fpacks",
        "/v1/datastore/a/../../packs",
        "/v1/datastore/%2e%2e/packs",
        "/v1/datastore//packs",
        "/health/../v1/packs",
        "/health/",
    ],
)
def test_a_public_path_opens_no_other_one(flyte: Protected, path: str) -> None:
    assert flyte("GET", path).status == 401


def test_refusals_are_logged_without_the_token(
    flyte: Protected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = token(exp=1_000_000_000)
    flyte("GET", "/v1/packs%0a", bad)
    assert "refused 'GET /v1/packs\\n': the token is invalid or expired" in caplog.messages
    assert "bad token: Signature has expired" in caplog.messages
    assert bad not in caplog.text


def test_an_issuer_that_is_away_gives_503_where_a_token_is_needed(
    serve: Serve, issuer: Issuer
) -> None:
    issuer.status = 500
    flyte = serve(issuer_url=issuer.url)
    assert flyte("GET", "/health").status == 200
    answer = flyte("GET", "/v1/packs", issuer.token(role="admin"))
    assert (answer.status, answer.challenge, answer.retry_after) == (503, None, "5")
    assert json.loads(answer.body) == {"error": "the issuer's keys are not available yet"}
    assert flyte("GET", "/v1/packs").challenge == ASK


def test_tokens_of_an_issuer(serve: Serve, issuer: Issuer) -> None:
    flyte = serve(issuer_url=issuer.url)
    assert flyte("GET", "/v1/packs", issuer.token(role="admin")).status == 200
    stranger = flyte("GET", "/v1/packs", KEY.sign(claims(role="admin", iss="https://evil")))
    assert (stranger.status, stranger.challenge) == (401, ASK_FOR_ANOTHER)


def test_a_key_file_is_rotated_while_flyte_runs(flyte: Protected, tmp_path: Path) -> None:
    new = rsa_key("new")
    (tmp_path / "keys.json").write_text(json.dumps(key_set(new)), encoding="utf-8")
    signed = new.sign(claims(role="admin"))
    wait_until(lambda: flyte("GET", "/v1/packs", signed).status == 200, "the new key")
    assert flyte("GET", "/v1/packs", token(role="admin")).status == 401


def test_all_problems_of_the_files_at_once(tmp_path: Path) -> None:
    policy, keys = tmp_path / "policy.yaml", tmp_path / "keys.json"
    policy.write_text("- path: v1\n- paht: /\n", encoding="utf-8")
    keys.write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_access(AuthConfig(policy, AUDIENCE, jwks_file=keys), at="auth")
    assert raised.value.problems == [
        f'{policy}:1: path "v1" does not begin with /',
        f'{policy}:2: unknown key "paht" (did you mean "path"?)',
        f"{policy}:2: found a rule without path, expected path: /v1/…",
        (
            f"auth.jwks_file: {keys}: found no JSON Web Key Set (Object missing required field "
            '`keys`), expected {"keys": […]}'
        ),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), (b"\xff", "found bytes that are not UTF-8")],
)
def test_a_policy_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, problem: str, issuer: Issuer
) -> None:
    policy = tmp_path / "policy.yaml"
    if content is not None:
        policy.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read_access(AuthConfig(policy, AUDIENCE, issuer_url=issuer.url), at="auth")
    assert raised.value.problems == [f"auth.policy: {policy}: {problem}"]
