"""What a token says about itself."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.client.token_claims import describe_claims, read_claims, why_not_now


def token(body: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(body).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize("text", ["opaque", "a.b", "a.é.c", token(b"{"), token(b"[1]"), "a.b.c"])
def test_other_tokens_have_no_claims(text: str) -> None:
    assert read_claims(text) is None


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, "never expires, aud: nobody in particular"),
        ({"exp": True, "aud": ""}, "never expires, aud: nobody in particular"),
        ({"exp": 1e300, "aud": "a"}, "never expires, aud: a"),
        ({"exp": 0.0, "aud": ["a", "b"]}, "expires at 1970-01-01 00:00:00 UTC, aud: a, b"),
    ],
)
def test_claims_in_words(claims: dict[str, Any], words: str) -> None:
    read = read_claims(token(json.dumps(claims).encode()))
    assert read == claims
    assert describe_claims(claims) == words


def test_the_time_in_which_it_is_valid() -> None:
    now = datetime.fromtimestamp(100, UTC)
    for claims in ({"exp": 101}, {}, {"nbf": 100, "exp": 101}, {"nbf": "soon"}):
        assert why_not_now(claims, now) == ""
    expired = "the token expired at 1970-01-01 00:01:40 UTC; get a new one"
    assert why_not_now({"exp": 100}, now) == expired
    assert why_not_now({"nbf": 101}, now) == (
        "the token is not valid before 1970-01-01 00:01:41 UTC, and it is 1970-01-01 00:01:40 UTC "
        "here"
    )
