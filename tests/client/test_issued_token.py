"""A token from an issuer: renewed before it ends, kept while the issuer is away."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from flyte_host.client.bearer_token import TokenUnavailable
from flyte_host.client.issued_token import RETRY_SECONDS, Credentials, IssuedToken
from flyte_host.errors import FlyteAway
from flyte_host.secrets import Scrubber, SecretMissing, SecretRef
from tests.support.hand_clock import HandClock
from tests.support.host_parts import client_for
from tests.support.scripted_server import Reply, ScriptedServer, links, reply

SECRET = "s3cret/+"
ENVIRON = {"SECRET": SECRET}
LIFE_SECONDS = 60.0
NESTED = b'{"more":' + b"[" * 50_000 + b"]" * 50_000 + b"}"


@pytest.fixture
def issuer() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


def issued(value: str, **more: Any) -> bytes:
    document = {"access_token": value, "token_type": "Bearer", "expires_in": LIFE_SECONDS} | more
    return reply(200, json.dumps(document).encode())


def token_of(issuer: ScriptedServer, hand: HandClock, **over: Any) -> IssuedToken:
    given = {"token_url": f"{issuer.url}/token"} | over
    credentials = Credentials("host", SecretRef(env="SECRET"), **given)
    return IssuedToken(credentials, ENVIRON, clock=hand.clock)


def refusal(token: IssuedToken) -> str:
    with pytest.raises(TokenUnavailable) as raised:
        token.current()
    return str(raised.value)


def test_the_request_is_that_of_client_credentials(issuer: ScriptedServer, hand: HandClock) -> None:
    issuer.on("POST /token", issued("one"))
    token = token_of(issuer, hand, scope="flyte packs", audience="flyte")
    assert token.current() == token.current() == "one"
    [seen] = issuer.requests
    assert dict(parse_qsl(seen.body.decode())) == {
        "grant_type": "client_credentials", "scope": "flyte packs", "audience": "flyte",
    }  # fmt: skip
    scheme, _, credentials = seen.headers["authorization"].partition(" ")
    # Both parts are encoded as in a form first: RFC 6749, section 2.3.1.
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"host:s3cret%2F%2B")


def test_nothing_is_asked_before_it_is_needed(issuer: ScriptedServer, hand: HandClock) -> None:
    token = token_of(issuer, hand)
    assert token.expires_at() is None
    assert issuer.requests == []


def test_it_is_renewed_before_it_ends(issuer: ScriptedServer, hand: HandClock) -> None:
    issuer.on("POST /token", issued("one"), issued("two"))
    token = token_of(issuer, hand)
    assert token.current() == "one"
    assert token.expires_at() == hand.day.replace(minute=1)
    hand.advance(LIFE_SECONDS / 2)
    assert token.current() == "one"
    hand.advance(LIFE_SECONDS / 4)
    assert token.current() == "two"
    assert len(issuer.requests) == 2


def test_it_ends_while_the_machine_is_suspended(issuer: ScriptedServer, hand: HandClock) -> None:
    issuer.on("POST /token", issued("one"), issued("two"))
    token = token_of(issuer, hand)
    assert token.current() == "one"
    hand.suspend(LIFE_SECONDS)
    assert token.current() == "two"


def test_an_issuer_that_is_away_does_no_harm_as_long_as_the_token_holds(
    issuer: ScriptedServer, hand: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    issuer.on("POST /token", issued("one"), reply(503), reply(503), reply(503), issued("two"))
    token = token_of(issuer, hand)
    token.current()
    for seconds in (LIFE_SECONDS * 3 / 4, RETRY_SECONDS, 0.0):
        hand.advance(seconds)
        assert token.current() == "one"
    hand.advance(LIFE_SECONDS)
    words = f"{issuer.url}/token: found status 503, expected 200 with a token"
    assert refusal(token) == refusal(token) == f"there is no token for flyte: {words}"
    hand.advance(RETRY_SECONDS)
    assert token.current() == "two"
    assert len(issuer.requests) == 5
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("flyte_host")]
    assert ours == [
        f"flyte's token cannot be renewed: {words}",
        "flyte's token can be renewed again",
    ]


def test_a_refused_token_is_asked_for_again_but_not_in_a_loop(
    issuer: ScriptedServer, hand: HandClock
) -> None:
    issuer.on("POST /token", issued("one"), issued("two"), issued("two"))
    token = token_of(issuer, hand)
    token.current()
    assert not token.refresh()  # the issuer was asked a moment ago
    hand.advance(RETRY_SECONDS)
    assert token.refresh()
    assert token.current() == "two"
    hand.advance(RETRY_SECONDS)
    assert not token.refresh()
    assert len(issuer.requests) == 3


def test_one_thread_asks_and_the_others_go_on(issuer: ScriptedServer, hand: HandClock) -> None:
    may_answer = threading.Event()
    issuer.on("POST /token", issued("one"), [may_answer, issued("two")])
    token = token_of(issuer, hand)
    token.current()
    hand.advance(LIFE_SECONDS * 3 / 4)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(token.current)
        issuer.wait_for(2)
        assert token.current() == "one"
        may_answer.set()
        assert asking.result() == "two"
    assert token.current() == "two"


def test_threads_without_a_token_wait_for_the_one_that_asks(
    issuer: ScriptedServer, hand: HandClock
) -> None:
    may_answer = threading.Event()
    issuer.on("POST /token", [may_answer, issued("one")])
    token = token_of(issuer, hand)
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(token.current) for _ in range(2)]
        issuer.wait_for(1)
        may_answer.set()
        assert [each.result() for each in asking] == ["one", "one"]
    assert len(issuer.requests) == 1


def test_an_issuer_is_asked_where_its_tokens_are(issuer: ScriptedServer, hand: HandClock) -> None:
    document = json.dumps({"token_endpoint": f"{issuer.url}/oauth"}).encode()
    issuer.on("GET /x/.well-known/openid-configuration", reply(200, document))
    issuer.on("POST /oauth", issued("one"), issued("two"))
    token = token_of(issuer, hand, token_url=None, issuer_url=f"{issuer.url}/x/")
    assert token.current() == "one"
    hand.advance(LIFE_SECONDS)
    assert token.current() == "two"
    assert [each.path for each in issuer.requests] == [
        "/x/.well-known/openid-configuration", "/oauth", "/oauth",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            reply(401, b'{"error": "invalid_client", "error_description": "no such\\nclient"}'),
            "found status 401 (invalid_client: no such\\nclient), expected 200 with a token",
        ),
        (reply(400, b"[]"), "found status 400, expected 200 with a token"),
        (reply(400, b"<html>"), "found status 400, expected 200 with a token"),
        (reply(200, b"<html>"), "found no token: JSON is malformed"),
        (reply(200, b"{}"), "found no token: Object missing required field `access_token`"),
        (reply(200, NESTED), "found no token: it is nested too deeply"),
        (reply(200, b'{"access_token":"\xff"}'), "found no token: it has text that is not UTF-8"),
        (issued("a\nb"), "the answer holds no token, expected one line of visible ASCII"),
        (issued("one", expires_in="x"), "found no token: Expected `float | null`, got `str`"),
        (reply(302, Location="http://localhost/"), "found status 302, expected 200 with a token"),
    ],
)
def test_what_an_issuer_may_answer(
    issuer: ScriptedServer, hand: HandClock, answer: Reply, words: str
) -> None:
    issuer.on("POST /token", answer)
    assert f"{issuer.url}/token: {words}" in refusal(token_of(issuer, hand))


@pytest.mark.parametrize(
    "document", [b"{}", NESTED, b'"\xff'], ids=["empty", "nested", "not UTF-8"]
)
def test_discovery_without_a_token_endpoint(
    issuer: ScriptedServer, hand: HandClock, document: bytes
) -> None:
    issuer.on("GET /.well-known/openid-configuration", reply(200, document))
    token = token_of(issuer, hand, token_url=None, issuer_url=issuer.url)
    assert "/.well-known/openid-configuration: found no token_endpoint: " in refusal(token)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("60", 60), (60.5, 60.5), (1e300, 366 * 86_400), ("inf", 366 * 86_400)],
)
def test_how_long_a_token_holds_may_be_said_in_odd_ways(
    issuer: ScriptedServer, hand: HandClock, said: object, seconds: float
) -> None:
    issuer.on("POST /token", issued("one", expires_in=said))
    token = token_of(issuer, hand)
    assert token.current() == "one"
    assert token.expires_at() == hand.clock.now() + timedelta(seconds=seconds)


@pytest.mark.parametrize("life", [None, 0, -5, "nan"])
def test_a_token_that_does_not_say_how_long_it_holds(
    issuer: ScriptedServer, hand: HandClock, life: object
) -> None:
    issuer.on("POST /token", issued("one", expires_in=life), issued("two"))
    token = token_of(issuer, hand)
    token.current()
    hand.advance(120)
    assert token.current() == "one"
    hand.advance(200)
    assert token.current() == "two"


def test_secrets_are_learnt_and_a_file_is_read_again(
    issuer: ScriptedServer, hand: HandClock, tmp_path: Path
) -> None:
    issuer.on("POST /token", issued("a-token"))
    file = tmp_path / "secret"
    file.write_text("first-secret")
    credentials = Credentials("host", SecretRef(file=file), token_url=f"{issuer.url}/token")
    scrubber = Scrubber()
    token = IssuedToken(credentials, {}, clock=hand.clock, scrubber=scrubber)
    file.write_text("other-secret")
    token.current()
    assert scrubber.scrub("first-secret other-secret a-token") == "*** *** ***"
    file.unlink()
    hand.advance(LIFE_SECONDS)
    assert f"the file {file}" in refusal(token)


def test_a_missing_secret_is_told_at_the_start() -> None:
    with pytest.raises(SecretMissing, match="the environment variable SECRET is not set"):
        IssuedToken(Credentials("host", SecretRef(env="SECRET"), token_url="http://x"), {})


def test_calls_wait_for_a_token_and_carry_it(issuer: ScriptedServer, hand: HandClock) -> None:
    issuer.on("POST /token", reply(503), issued("one"))
    with ScriptedServer() as flyte:
        flyte.on("GET /v1", reply(200, links(flyte.url)))
        flyte.on("GET /health", reply(200))
        client = client_for(flyte.url, hand.clock, token=token_of(issuer, hand))
        with pytest.raises(FlyteAway, match=f"not sent: there is no token for flyte: {issuer.url}"):
            client.health()
        assert flyte.requests == []
        assert client.outage.reason.startswith("there is no token for flyte")
        hand.advance(RETRY_SECONDS)
        client.health()
        assert {each.headers["authorization"] for each in flyte.requests} == {"Bearer one"}
        client.close()


def test_a_call_that_flyte_refuses_is_sent_again_with_another_token(
    issuer: ScriptedServer, hand: HandClock
) -> None:
    issuer.on("POST /token", issued("one"), issued("two"))
    with ScriptedServer() as flyte:
        flyte.on("GET /v1", reply(401), reply(200, links(flyte.url)))
        flyte.on("GET /health", reply(200))
        token = token_of(issuer, hand)
        token.current()
        hand.advance(RETRY_SECONDS)
        client = client_for(flyte.url, hand.clock, token=token)
        client.health()
        sent = [each.headers["authorization"] for each in flyte.requests]
        assert sent == ["Bearer one", "Bearer two", "Bearer two"]
        client.close()
