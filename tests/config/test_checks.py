"""The rules for values beyond their types."""

import glob
from pathlib import Path
from typing import Any

import pytest

from flyte_host.config import checks
from flyte_host.config.parser import Place
from flyte_host.text import quoted

AT = Place("settings", Path("/etc"), [])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_addresses_to_listen_at(text: str, address: tuple[str, int]) -> None:
    assert checks.parse_listen(text) == address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("flyte.example.com", "flyte.example.com"),
        ("Flyte.Example.", "flyte.example"),
        ("flyte_host", "flyte_host"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ],
)
def test_names_in_a_host_header(text: str, host: str) -> None:
    assert checks.host_name(text, AT) == host


@pytest.mark.parametrize(
    "text",
    ["", "a:80", "[::1]:80", "http://a", "a/b", "*", "*.a", "a b", "a,b", "a\n", "bücher.example"],
)
def test_what_no_host_header_has(text: str) -> None:
    with pytest.raises(ValueError, match=r"^found .+, expected a host name or an IP address alone"):
        checks.host_name(text, AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host",
        "host:",
        "host:http",
        "host:-1",
        "host:65536",
        "host:٣",
        "host:80\n",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[nonsense]:80",
        "[]:80",
        "http://host:80",
        "a b:80",
    ],
)
def test_a_text_that_is_not_an_address_to_listen_at(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        checks.parse_listen(text)
    assert str(raised.value) == (
        f"found {quoted(text)}, expected host:port, for instance 127.0.0.1:8090, "
        "[::1]:8090 or 0.0.0.0:8090 for every address"
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://flyte", "http://flyte"),
        ("HTTPS://Flyte:8443/", "https://Flyte:8443"),
        ("https://flyte.example.com/a/b//", "https://flyte.example.com/a/b"),
        ("http://[::1]:8080/x@y", "http://[::1]:8080/x@y"),
        ("http://bücher.example", "http://bücher.example"),
    ],
)
def test_addresses_of_flyte(text: str, url: str) -> None:
    assert checks.base_url(text, AT) == url


NO_URL = (
    "found something that is not a URL, or has an impossible host or port, "
    "expected http(s)://host, http(s)://host:port or the same with a path"
)
NO_HTTP = "found a URL that starts with neither http:// nor https://"
NO_HOST = "found a URL without a host, expected http(s)://host"
USER = "found a URL with a user name or password, expected none: use flyte.token"
QUERY = "found a URL with a query (?) or fragment (#), expected none"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", NO_HTTP),
        ("canary", NO_HTTP),
        ("canary.example:80", NO_HTTP),
        ("ftp://canary", NO_HTTP),
        ("canary://host", NO_HTTP),
        ("http:///canary", NO_HOST),
        ("http:canary", NO_HOST),
        ("http://user:canary@host", USER),
        ("http://canary@host/x", USER),
        ("http://user:can@ary@host", USER),
        ("http://user:can\u2100canary@host", NO_URL),
        ("http://user:canary", NO_URL),
        ("http://host:0/canary", NO_URL),
        ("http://host:99999/canary", NO_URL),
        ("http://[canary", NO_URL),
        ("http://canary..example", NO_URL),
        (f"http://{'canary' * 20}", NO_URL),
        ("http://host/canary canary", NO_URL),
        ("http://host\n/canary", NO_URL),
        ("http://host\\canary", NO_URL),
        ("http://host/\udcffcanary", NO_URL),
        ("http://host/?token=canary", QUERY),
        ("http://host?", QUERY),
        ("http://host/#canary", QUERY),
    ],
)
def test_a_text_that_is_not_an_address_of_flyte_is_not_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        checks.base_url(text, AT)
    assert str(raised.value) == problem
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_patterns_are_absolute_and_only_special_where_they_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "[a]*"
    folder.mkdir()
    (folder / "one.yaml").touch()
    at = Place("flows", folder, [])
    assert list(glob.iglob(checks.pattern("*.yaml", at))) == [str(folder / "one.yaml")]  # noqa: PTH207 - as the host does
    assert checks.pattern("/x/**/*.yaml", at) == "/x/**/*.yaml"
    assert checks.pattern("~/*.yaml", at) == glob.escape(str(Path.home())) + "/*.yaml"


@pytest.mark.parametrize("text", ["~nobody-of-this-name/*", "a\0"])
def test_a_text_that_is_not_a_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        checks.pattern(text, AT)


@pytest.mark.parametrize(
    ("reference", "copy"),
    [
        ({"env": "X"}, {"env": "X"}),
        ({"file": "s"}, {"file": "/etc/s"}),
        ({"file": "/s"}, {"file": "/s"}),
        ({"file": "~/s"}, {"file": str(Path.home() / "s")}),
        ({"env": "X", "file": "s"}, {"env": "X", "file": "s"}),
        ({"env": 1}, {"env": 1}),
        ({"file": "s", "mode": 1}, {"file": "s", "mode": 1}),
    ],
)
def test_settings_keep_references_with_absolute_files(reference: Any, copy: Any) -> None:
    raw = {"a": reference, "b": [{"c": reference}], "d": 1}
    assert checks.settings(raw, AT) == {"a": copy, "b": [{"c": copy}], "d": 1}
    assert checks.settings(reference, AT) == reference, (
        "the table settings itself is never a reference"
    )
    assert AT.problems == []


def test_settings_have_a_bottom() -> None:
    at = Place("s", Path("/etc"), [])
    raw: dict[str, Any] = {}
    for _ in range(20_000):
        raw = {"a": raw}
    checks.settings(raw, at)
    path = ".".join(["s", *"a" * 65])
    assert at.problems == [f"{path}: found a value below 64 tables or arrays, expected fewer"]
