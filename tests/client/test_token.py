"""The token is the newest good one."""

import os
from pathlib import Path

import pytest

from flyte_host.client.token import Token
from flyte_host.secrets import Scrubber, SecretMissing, SecretRef

STAYS = "still using flyte's previous token"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    return tmp_path / "token"


def test_from_the_environment() -> None:
    environ = {"T": " abc.def-_= \n"}
    token = Token(SecretRef(env="T"), environ)
    assert token.current() == "abc.def-_="
    assert not token.refresh()
    environ["T"] = "other"
    assert token.current() == "abc.def-_="
    assert token.refresh()
    assert token.current() == "other"


def test_a_file_is_read_again_when_it_changes(file: Path) -> None:
    token = Token(SecretRef(file=file), {})
    assert token.current() == "first"
    file.write_text("second-one")
    assert token.current() == "second-one"
    assert not token.refresh()


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time(
    file: Path, tmp_path: Path
) -> None:
    token = Token(SecretRef(file=file), {})
    (tmp_path / "new").write_text("tsrif\n")
    times = file.stat()
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").replace(file)
    assert token.current() == "tsrif"


def test_a_link_that_is_turned(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "token"
    link.symlink_to(tmp_path / "one")
    token = Token(SecretRef(file=link), {})
    assert token.current() == "one"
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").replace(link)
    assert token.current() == "two"


def test_a_file_that_goes_away_or_bad_keeps_the_token(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = Token(SecretRef(file=file), {})
    file.unlink()
    assert [token.current(), token.current()] == ["first", "first"]
    assert not token.refresh()
    assert caplog.messages == [
        f"{STAYS}: the file {file} cannot be read: No such file or directory"
    ]
    file.write_text("two\nlines s3cret")
    assert token.current() == "first"
    assert caplog.messages[1:] == [
        f"{STAYS}: the file {file} holds no token, expected one line of visible ASCII"
    ]
    file.write_text("good-again")
    assert token.current() == "good-again"
    file.unlink()
    assert token.current() == "good-again"
    assert len(caplog.messages) == 3


@pytest.mark.parametrize("value", ["two lines\nof s3cret", "a b", "caf\u00e9", "a\0b", "\t"])
def test_a_text_that_no_header_can_carry_is_not_a_token(value: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        Token(SecretRef(env="T"), {"T": value})
    assert str(caught.value) == (
        "the environment variable T holds no token, expected one line of visible ASCII"
    )


def test_no_token_at_all() -> None:
    with pytest.raises(SecretMissing, match="the environment variable T is not set"):
        Token(SecretRef(env="T"), {})


def test_every_token_is_learnt(file: Path) -> None:
    scrubber = Scrubber()
    token = Token(SecretRef(file=file), {}, scrubber=scrubber)
    file.write_text("second-one")
    assert token.current() == "second-one"
    assert scrubber.scrub("first second-one") == "*** ***"


def test_it_shows_nothing_of_itself() -> None:
    token = Token(SecretRef(env="T"), {"T": "s3cret-value"})
    assert "s3cret" not in f"{token!r} {token} {vars(token)['_ref']!r}"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"eyJhbGci"', "holds a token in quotes, expected it without"),
        ("'eyJhbGci'", "holds a token in quotes, expected it without"),
        (
            "Bearer eyJhbGci",
            "holds a token after the word Bearer, expected the token alone",
        ),
        ("  ", "holds no token, expected one line of visible ASCII"),
    ],
)
def test_what_people_put_around_a_token_is_named(value: str, problem: str) -> None:
    with pytest.raises(SecretMissing) as raised:
        Token(SecretRef(env="JWT"), {"JWT": value})
    assert str(raised.value) == f"the environment variable JWT {problem}"
