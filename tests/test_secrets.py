"""Secret references are safe to show; the scrubber lets no learnt value through."""

import base64
import html
import json
import shlex
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flyte_host.secrets import Scrubber, SecretMissing, SecretRef
from tests.support.null_path import words_for_null

VALUE = 'pä"ss wörd/+%&\\\n§>>>???>>>'


def scrubber(*values: str) -> Scrubber:
    made = Scrubber()
    for value in values:
        made.learn(value)
    return made


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b" abc\r", " abc\r"),
        ("pä\n".encode(), "pä"),
        ("\ufeffabc\n".encode(), "abc"),
    ],
)
def test_a_file_is_read_without_the_newline_at_its_end(
    tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert SecretRef(file=tmp_path / "secret").read({}) == value


def test_a_file_is_read_again(tmp_path: Path) -> None:
    ref = SecretRef(file=tmp_path / "secret")
    (tmp_path / "secret").write_text("one")
    assert ref.read({}) == "one"
    (tmp_path / "secret").write_text("two")
    assert ref.read({}) == "two"


def test_a_variable_is_read_without_the_end_of_a_windows_line() -> None:
    assert SecretRef(env="PASSWORD").read({"PASSWORD": "hunter2\r"}) == "hunter2"


def test_a_variable_is_read_as_it_is() -> None:
    assert SecretRef(env="X").read({"X": " a\n"}) == " a\n"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "the environment variable X is not set, expected a secret"),
        ({"X": ""}, "the environment variable X is empty, expected a secret"),
        (
            {"X": "a\udcff"},
            "the environment variable X is not UTF-8, expected a secret as text",
        ),
    ],
)
def test_a_variable_without_a_secret(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(SecretMissing) as raised:
        SecretRef(env="X").read(environ)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty, expected a secret"),
        (b"\n", "is empty, expected a secret"),
        (b"\xff\xfe", "is not UTF-8, expected a secret as text"),
        (b"x" * 1_000_001, "is larger than 1 MB, expected a secret"),
    ],
)
def test_a_file_without_a_secret(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretMissing) as raised:
        SecretRef(file=path).read({})
    assert str(raised.value) == f"the file {path} {problem}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    wrong = {
        tmp_path / "missing": "No such file or directory",
        tmp_path: "Is a directory",
        tmp_path / "\0": words_for_null(tmp_path / "\0"),
    }
    for path, why in wrong.items():
        with pytest.raises(SecretMissing) as raised:
            SecretRef(file=path).read({})
        assert str(raised.value) == f"the file {path} cannot be read: {why}"


@pytest.mark.parametrize("fields", [{}, {"env": "X", "file": Path("x")}])
def test_a_reference_is_one_of_the_two(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of env and file"):
        SecretRef(**fields)


def test_showing_a_reference_shows_no_value(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("canary")
    refs = SecretRef(env="X"), SecretRef(file=tmp_path / "s")
    assert [ref.read({"X": "canary"}) for ref in refs] == ["canary", "canary"]
    assert "canary" not in f"{refs!r}{refs[0]}{refs[1]}"
    assert "X" in repr(refs[0])


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        repr(VALUE),
        repr({"key": VALUE}),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        urlencode({"password": VALUE}),
        quote(VALUE, safe="").lower(),
        json.dumps(VALUE).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"),
        json.dumps(VALUE).replace("/", r"\/"),
        html.escape(VALUE),
        html.escape(VALUE, quote=False),
        html.escape(VALUE).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        repr(VALUE.encode())[1:],
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        json.dumps(json.dumps(VALUE)[1:-1]),
        json.dumps(repr(VALUE)[1:-1]),
        repr(json.dumps(VALUE)[1:-1]),
        json.dumps(VALUE).replace("e4", "E4").replace("f6", "F6").replace("a7", "A7"),
        ascii(VALUE),
    ],
)
def test_every_form_of_a_value_is_scrubbed(form: str) -> None:
    scrubbed = scrubber(VALUE).scrub(f"before {form} after")
    assert scrubbed == f"before {scrubbed[7:-6]} after"
    assert scrubbed.replace('"', "").replace("'", "") in {
        "before *** after",
        "before {key: ***} after",
        "before password=*** after",
    }


MARKS = "it's (a) $1 & !"


@pytest.mark.parametrize(
    "form",
    [
        quote(MARKS, safe="!*'()"),  # JavaScript
        quote(MARKS, safe="$&+=:@"),  # Go, in a path
        shlex.quote(MARKS),
        repr(repr(MARKS)),
    ],
)
def test_marks_that_only_some_escape_are_scrubbed(form: str) -> None:
    assert scrubber(MARKS).scrub(form).strip("'\"\\") == "***"


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
@pytest.mark.parametrize("tail", ["", "x", "xy", "xyz"])
def test_basic_auth_is_scrubbed_wherever_the_value_is_in_it(user: str, tail: str) -> None:
    header = base64.b64encode(f"{user}:correct horse{tail}".encode()).decode()
    scrubbed = scrubber("correct horse").scrub(header)
    assert "***" in scrubbed
    assert len(scrubbed.replace("***", "")) <= len(user) + len(tail) + 9


def test_short_values_would_eat_the_text() -> None:
    assert scrubber("", "a", "abc").scrub("abc a") == "abc a"
    assert scrubber("abcd").scrub("abcd abc") == "*** abc"


def test_the_longest_value_goes_first() -> None:
    assert scrubber("pass", "password1", "word1").scrub("password1 pass") == "*** ***"


def test_a_value_learnt_twice_or_never_said_changes_nothing() -> None:
    assert Scrubber().scrub("text") == "text"
    assert scrubber("secret", "secret").scrub("a text") == "a text"


def test_threads_may_learn_and_scrub_at_once() -> None:
    shared = Scrubber()
    values = [f"secret-{number}-end" for number in range(200)]

    def learn(part: list[str]) -> None:
        for each in part:
            shared.learn(each)

    learners = [
        threading.Thread(target=learn, args=(part,)) for part in (values[::2], values[1::2])
    ]
    for learner in learners:
        learner.start()
    while any(learner.is_alive() for learner in learners):
        assert shared.scrub("nothing to hide") == "nothing to hide"
    assert shared.scrub(" ".join(values)) == " ".join(["***"] * 200)


@given(value=st.text(min_size=4), other=st.text(min_size=4), around=st.text())
@example(value="\ud800" * 4, other="????", around="????")
def test_no_learnt_value_ever_gets_through(value: str, other: str, around: str) -> None:
    text = scrubber(value, other).scrub(f"{around}{value}{other}{around}")
    assert "*" in value or value not in text
    assert "*" in other or other not in text
