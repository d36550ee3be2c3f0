"""Host names, addresses and origins as headers have them."""

import pytest

from flyte_host.origin import Origin, first_of_list, is_loopback, normal_host, read_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost.:8080", ("localhost", 8080)),
        ("a_b-c.example:80", ("a_b-c.example", 80)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]", ("::1", None)),
        ("[0:0::1]:8080", ("::1", 8080)),
        ("[::ffff:127.0.0.1]:8080", ("127.0.0.1", 8080)),
    ],
)
def test_a_host_is_read_in_one_spelling(text: str, expected: tuple[str, int | None]) -> None:
    assert read_host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "::1",
        "[127.0.0.1]",
        "[::1",
        "[::g]",
        "a:",
        "a:b",
        "a:123456",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "127.0.0.1, evil.example",
        "évil",
        "a\n",
        "a:\u0661",
    ],
)
def test_what_is_not_a_host_is_not_read(text: str) -> None:
    assert read_host(text) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("", False),
        ("0.0.0.0", False),
        ("128.0.0.1", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.localhost", False),
        ("127.1", False),
        ("2130706433", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a", Origin("http", "a", 80)),
        ("http://a:80", Origin("http", "a", 80)),
        ("HTTPS://A.", Origin("https", "a", 443)),
        ("http://[::1]:9", Origin("http", "::1", 9)),
        ("null", None),
        ("", None),
        ("file://", None),
        ("http://", None),
        ("http://a/", None),
        ("chrome-extension://abc", None),
    ],
)
def test_origins_have_a_port_also_where_it_is_not_written(
    text: str, expected: Origin | None
) -> None:
    assert Origin.read(text) == expected


def test_an_origin_of_a_host_that_cannot_be_read_is_none() -> None:
    assert Origin.of_host("http", "a b") is None
    assert Origin.of_host("ftp", "a") is None


@pytest.mark.parametrize(
    ("header", "first"),
    [
        (None, ""),
        ("", ""),
        ("https", "https"),
        ("https,http", "https"),
        (" https , http", "https"),
        (",https", ""),
    ],
)
def test_the_first_of_a_list_is_what_the_client_used(header: str | None, first: str) -> None:
    assert first_of_list(header) == first


def test_addresses_and_names_have_one_spelling() -> None:
    assert [normal_host(each) for each in ("A.Example.", "[::0]", "0:0::0")] == [
        "a.example",
        "::",
        "::",
    ]
