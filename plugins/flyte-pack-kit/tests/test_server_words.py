"""A server's words are short, on one line, and without the secrets that it was sent."""

import base64
import html
import json
from urllib.parse import quote

import pytest
from flyte_pack_kit import RestClient, RestTarget, ServerWords

from tests.support.rest_stand_in import RestReply, RestRequest, RestStandIn

SECRET = 'pa€ <wo"rd>/1'


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("no such\r\n\t user", "no such user"),
        (b"caf\xc3\xa9 \xff", r"café \xff"),
        ("\x1b[31mred\u202e", r"\x1b[31mred\u202e"),
        ("half \ud800", r"half \ud800"),
        ("x" * 12, "x" * 10 + " …"),
        ("", ""),
    ],
)
def test_words_are_short_and_printable(told: str | bytes, shown: str) -> None:
    assert ServerWords("", longest=10 if "xx" in str(told) else 500).show(told) == shown


FORMS = {
    "plain": SECRET,
    "base64 of a login": base64.b64encode(f"\0flyte\0{SECRET}".encode()).decode(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "hex": SECRET.encode().hex(),
    "JSON": json.dumps(SECRET),
    "HTML": html.escape(SECRET),
    "percents": quote(SECRET, safe=""),
    "repr": repr(SECRET.encode()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", [0, 480, 495])
def test_secrets_are_hidden_in_every_form(form: str, before: int) -> None:
    """Where the words are cut too: a secret is hidden before that."""
    told = f"{'x' * before} {FORMS[form]}"
    shown = ServerWords("other", SECRET).show(told)
    secret = FORMS[form].strip('"')[-20:-4]
    parts = [secret[at : at + 5] for at in range(len(secret) - 4)]
    assert not [each for each in parts if each in shown]
    whole = ServerWords(SECRET).hide(told)
    assert "***" in whole
    assert FORMS[form][-8:] not in whole


@pytest.mark.parametrize(
    ("told", "shown"), [("no such\nuser", " (no such user)"), (b" ", ""), (SECRET, " (***)")]
)
def test_words_in_brackets_follow_a_text(told: str | bytes, shown: str) -> None:
    assert ServerWords(SECRET).in_brackets(told) == shown


def test_short_secrets_are_not_looked_for() -> None:
    assert ServerWords("abc").show("abc of a day") == "abc of a day"


def repeat(request: RestRequest) -> RestReply:
    """As proxies do that show what they were asked."""
    token = request.headers["x-token"]
    said = f"{request.headers['authorization']} {token}"
    return RestReply(302, {"message": said}, (("Location", f"/{token}"),))


def test_answers_have_words_without_the_secrets_of_their_request() -> None:
    with RestStandIn(repeat) as service:
        headers = {"X-Token": "t0ken"}
        target = RestTarget(service.url, user="flyte", password=SECRET, headers=headers)
        answer = RestClient(target).send("GET", "x")
    assert answer.words.show(answer.content).count("***") == 2
    assert answer.stranger == "a redirect to /***"
    assert "words" not in repr(answer)
