"""Which requests may pass, decided by their headers alone."""

from typing import Any

import pytest

from flyte_host.web.gate import Gate, Refusal, RequestSource

HOST = "127.0.0.1:8080"
PAGES = "pages of other sites may not send requests to this server"


def source(host: str | None = HOST, **more: Any) -> RequestSource:
    return RequestSource(**({"scheme": "http", "version": "HTTP/1.1", "host": host} | more))


def status(gate: Gate, **asked: Any) -> int | None:
    refusal = gate.refusal(source(**asked))
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LOCALHOST.:8080", "127.0.0.1", "127.9.9.9:8080", "[::1]:8080"],
)
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::", "192.0.2.7", "my.example"])
def test_loopback_always_passes(listen: str, host: str) -> None:
    assert status(Gate(listen), host=host) is None


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("192.0.2.7", "192.0.2.7:8080"),
        ("my.example", "My.Example:8080"),
        ("2001:db8::1", "[2001:DB8:0::1]:8080"),
        # Somebody else cannot make an address mean this server.
        ("0.0.0.0", "192.0.2.7:8080"),
        ("0.0.0.0", "0.0.0.0:8080"),
        ("::", "192.0.2.7"),
        ("::", "[2001:db8::1]:8080"),
        ("::", "[fe80::1]:8080"),
        ("my.example", "192.0.2.7:8080"),
    ],
)
def test_the_host_of_listen_passes(listen: str, host: str) -> None:
    assert status(Gate(listen), host=host) is None


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1", "evil.example"),
        ("127.0.0.1", "evil.example:8080"),
        ("127.0.0.1", "localhost.evil.example"),
        ("127.0.0.1", "127.0.0.1.evil.example"),
        ("127.0.0.1", "192.0.2.7"),
        ("localhost", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.8"),
        ("0.0.0.0", "evil.example"),
        ("my.example", "your.example"),
        ("127.0.0.1", ""),
        ("127.0.0.1", "localhost, evil.example"),
        ("127.0.0.1", "evil.example#localhost"),
        ("127.0.0.1", "localhost@evil.example"),
    ],
)
@pytest.mark.parametrize("check_origin", [True, False])
def test_a_host_of_somebody_else_is_refused(listen: str, host: str, check_origin: bool) -> None:
    assert status(Gate(listen, check_origin=check_origin), host=host) == 421


def test_further_hosts_pass() -> None:
    gate = Gate("127.0.0.1", ["flyte.example", "2001:db8::1"])
    assert status(gate, host="Flyte.Example:443") is None
    assert status(gate, host="[2001:db8::1]") is None
    assert status(gate, host="www.flyte.example") == 421


def test_only_http_1_0_may_come_without_a_host() -> None:
    gate = Gate("127.0.0.1")
    assert status(gate, host=None, version="HTTP/1.0") is None
    assert status(gate, host=None) == 400
    # What names an origin is a browser, and there is nothing to compare it with.
    assert status(gate, host=None, version="HTTP/1.0", origin="http://localhost") == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.0.0.1:8081",
        "https://127.0.0.1:8080",
        "http://127.0.0.1:8080.evil.example",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080 http://evil.example",
        "file://",
        "chrome-extension://abcdef",
    ],
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert status(Gate("127.0.0.1"), origin=origin) == 403
    assert status(Gate("127.0.0.1"), origin=origin, site="same-origin") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "other"])
def test_a_foreign_site_is_refused(site: str) -> None:
    assert status(Gate("127.0.0.1"), site=site) == 403
    assert status(Gate("127.0.0.1"), site=site, origin="http://127.0.0.1:8080") == 403


@pytest.mark.parametrize("site", ["same-origin", "none", None])
@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", HOST, None),
        ("http", HOST, "http://127.0.0.1:8080"),
        ("http", "localhost", "http://localhost:80"),
        ("http", "[::1]:8080", "http://[::1]:8080"),
        ("https", "flyte.example", "https://flyte.example"),
    ],
)
def test_own_pages_and_programs_pass(
    scheme: str, host: str, origin: str | None, site: str | None
) -> None:
    gate = Gate("127.0.0.1", ["flyte.example"])
    assert status(gate, scheme=scheme, host=host, origin=origin, site=site) is None


def test_without_a_check_of_the_origin_it_does_not_matter() -> None:
    gate = Gate("127.0.0.1", check_origin=False)
    assert status(gate, origin="http://evil.example", site="cross-site") is None


def test_a_refusal_says_what_came_and_what_to_do() -> None:
    gate = Gate("127.0.0.1", hosts_key="hosts in [health]")
    assert gate.refusal(source("evil.example:80")) == Refusal(
        421,
        'found the Host "evil.example:80", expected localhost, a loopback address or a configured '
        "name; if it is a name of this server, add it to hosts in [health]",
    )
    assert gate.refusal(source(None)) == Refusal(
        400, 'found no Host header, expected one with "HTTP/1.1"'
    )
    assert gate.refusal(source(origin="null")) == Refusal(
        403, f'found the Origin "null", expected "http://127.0.0.1:8080" or no header: {PAGES}'
    )
    assert gate.refusal(source(site="cross-site")) == Refusal(
        403,
        'found the Sec-Fetch-Site "cross-site", expected same-origin, none or no header: ' + PAGES,
    )


def test_a_refusal_names_no_key_where_there_is_none() -> None:
    refusal = Gate("0.0.0.0").refusal(source("evil.example"))
    assert refusal is not None
    assert refusal.sentence == (
        'found the Host "evil.example", expected localhost, an IP address or a configured name'
    )


def test_a_refusal_is_one_short_line_whatever_came() -> None:
    refusal = Gate("127.0.0.1").refusal(source("\x1b[31m\u2028" + "x" * 1000))
    assert refusal is not None
    assert refusal.sentence.startswith(r'found the Host "\u001b[31m\u2028xxx')
    assert r"\u2026" in refusal.sentence
    assert refusal.sentence.isprintable()
    assert len(refusal.sentence) < 300
