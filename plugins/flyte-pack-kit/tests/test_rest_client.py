"""Where requests go, where secrets do not, and how bad answers fail."""

import contextvars
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from flyte_pack_kit import NoAnswer, RestAnswer, RestClient, RestTarget

from flyte_host.traceparent import CURRENT
from tests.support.bad_servers import HTTP, NEEDING_PATIENCE, bad_server, closed_port
from tests.support.rest_stand_in import RestReply, RestRequest, RestStandIn, basic

USER, PASSWORD = "flyte", "pa€word"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def greet(request: RestRequest) -> RestReply:
    return RestReply(200, {"seen": request.raw_path})


@pytest.fixture
def service() -> Iterator[RestStandIn]:
    with RestStandIn(greet) as running:
        yield running


def client_of(url: str, **settings: Any) -> RestClient:
    return RestClient(RestTarget(url, "rest/1", USER, PASSWORD, **settings))


def test_a_call(service: RestStandIn) -> None:
    client = client_of(service.url, headers={"X-Token": "abc"})
    answer = client.send("POST", "items", query={"a": "b&c"}, body={"x": 1})
    assert (answer.status, answer.document()) == (200, {"seen": "/rest/1/items"})
    [request] = service.requests
    assert (request.method, request.query, request.body) == ("POST", {"a": "b&c"}, {"x": 1})
    wanted = {
        "authorization": basic(USER, PASSWORD),
        "x-token": "abc",
        "content-type": "application/json",
        "accept": "application/json",
    }
    assert wanted.items() <= request.headers.items()


def test_the_trace_of_the_action_goes_with_a_call(service: RestStandIn) -> None:
    client, context = client_of(service.url), contextvars.copy_context()
    context.run(CURRENT.set, TRACE)
    context.run(client.send, "GET", "x")
    client.send("GET", "x")
    traces = [each.headers.get("traceparent") for each in service.requests]
    assert traces == [TRACE, None]


def test_nobody_logs_in_without_a_user(service: RestStandIn) -> None:
    RestClient(RestTarget(f"{service.url}/")).send("GET", "x")
    [request] = service.requests
    assert "authorization" not in request.headers
    assert request.raw_path == "/x"


@pytest.mark.parametrize(
    ("segment", "raw_path"),
    [
        ("A/../../secret", "/rest/1/A%2F..%2F..%2Fsecret"),
        ("A?x=1#y;z", "/rest/1/A%3Fx%3D1%23y%3Bz"),
        ("ä %2F\r\nX: y", "/rest/1/%C3%A4%20%252F%0D%0AX%3A%20y"),
        ("a\ud800", "/rest/1/a%3F"),
        ("a\\..\\b@c:1", "/rest/1/a%5C..%5Cb%40c%3A1"),
        ("", "/rest/1/"),
    ],
)
def test_segments_cannot_lead_elsewhere(service: RestStandIn, segment: str, raw_path: str) -> None:
    client_of(service.url).send("GET", segment)
    assert service.requests[0].raw_path == raw_path


@pytest.mark.parametrize("segment", [".", ".."])
def test_dots_are_not_ids(service: RestStandIn, segment: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        client_of(service.url).send("DELETE", segment, "x")
    assert str(raised.value) == f"{segment!r} is not an id"
    assert service.requests == []


@pytest.mark.parametrize("status", [301, 307])
def test_redirects_are_not_followed(service: RestStandIn, status: int) -> None:
    service.next_replies.append(RestReply(status, headers=(("Location", f"{service.url}/x"),)))
    answer = client_of(service.url).send("GET", "y")
    assert (answer.status, answer.location) == (status, f"{service.url}/x")
    assert len(service.requests) == 1


def test_the_path_is_readable() -> None:
    assert client_of("https://x/a%20b/").path("c d") == "/a b/rest/1/c d"


def test_cookies_are_not_kept(service: RestStandIn) -> None:
    client = client_of(service.url)
    for number in range(3):
        cookie = ("Set-Cookie", f"c{number}=x; Path=/")
        service.next_replies.append(RestReply(200, {}, (cookie,)))
        assert client.send("GET", "x").status == 200
    assert [each.headers.get("cookie") for each in service.requests] == [None] * 3


@pytest.mark.parametrize("kind", HTTP)
def test_servers_that_misbehave(kind: str) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(HTTP[kind]) as port:
        client = client_of(f"http://127.0.0.1:{port}", timeout_seconds=limit)
        if kind in {"HTML", "HTML and 502", "redirect"}:
            answer = client.send("GET", "x")
            assert answer.decoded(str).error
        else:
            with pytest.raises(NoAnswer, match=r"Error: |Timeout: "):
                client.send("GET", "x")


@pytest.mark.parametrize("kind", ["silent", "hangs up", "noise", "drips"])
def test_servers_that_misbehave_instead_of_tls(kind: str) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(HTTP[kind]) as port:
        client = client_of(f"https://127.0.0.1:{port}", timeout_seconds=limit)
        with pytest.raises(NoAnswer, match=r"Error: |Timeout: "):
            client.send("GET", "x")


def test_only_what_reads_is_sent_again() -> None:
    seen: list[bytes] = []

    def hang_up(connection: Any, over: threading.Event) -> None:
        seen.append(connection.recv(65536).split()[0])

    with bad_server(hang_up) as port:
        for method in ("GET", "POST", "PUT", "DELETE"):
            with pytest.raises(NoAnswer):
                client_of(f"http://127.0.0.1:{port}").send(method, "x")
    assert seen == [b"GET", b"GET", b"POST", b"PUT", b"DELETE"]


def test_what_used_up_its_time_is_not_sent_again() -> None:
    seen: list[bytes] = []

    def stop_in_the_body(connection: Any, over: threading.Event) -> None:
        seen.append(connection.recv(65536).split()[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        over.wait()

    with bad_server(stop_in_the_body) as port, pytest.raises(NoAnswer, match="timed out"):
        client_of(f"http://127.0.0.1:{port}", timeout_seconds=0.2).send("GET", "x")
    assert seen == [b"GET"]


def test_a_closed_port() -> None:
    with pytest.raises(NoAnswer, match=r"ConnectionError: .*refused"):
        client_of(f"http://127.0.0.1:{closed_port()}").send("GET", "x")


def test_an_answer_that_is_too_large(service: RestStandIn) -> None:
    service.next_replies.append(RestReply(200, b"x" * 101))
    with pytest.raises(NoAnswer, match="ValueError: the answer has more than 100 bytes"):
        client_of(service.url, max_answer_bytes=100).send("GET", "x")


def test_secrets_are_never_shown(service: RestStandIn) -> None:
    client = client_of(service.url, headers={"X-Token": "\nhidden"})
    with pytest.raises(NoAnswer, match="InvalidHeader: ") as raised:
        client.send("GET", "x")
    assert "hidden" not in str(raised.value)
    assert PASSWORD not in repr(client.target)
    assert "hidden" not in repr(client.target)


def test_the_environment_has_no_say(
    service: RestStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login eve password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    client_of(service.url).send("GET", "x")
    assert service.requests[0].headers["authorization"] == basic(USER, PASSWORD)


class Thing(msgspec.Struct, frozen=True):
    name: str = ""


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (b'{"NAME": "x"}', "x", ""),
        (b'{"name": "\\ud800"}', "\ufffd", ""),
        (b'{"name": "Andr\xe9"}', "Andr\ufffd", ""),
        (b'{"name": 1}', "", "json: cannot unmarshal number into field name of type string"),
        (b"<html>", "", "not valid JSON: "),
        (b"", "", "not valid JSON: "),
        (b"[" * 100_000, "", "not valid JSON: maximum recursion depth"),
    ],
    ids=["good", "surrogate", "Latin-1", "wrong type", "HTML", "nothing", "deep"],
)
def test_reading_an_answer(content: bytes, name: str, error: str) -> None:
    decoded = RestAnswer(200, content).decoded(Thing)
    assert decoded.value == Thing(name)
    assert decoded.error.startswith(error)
    assert bool(decoded.error) == bool(error)


@pytest.mark.parametrize(
    ("content", "is_html"),
    [
        (b"\n <HTML lang='en'>", True),
        (b"<!DOCTYPE html>", True),
        (b"<?xml version='1.0'?>", False),
        (b'"<html>"', False),
        (b"", False),
    ],
)
def test_pages_for_people(content: bytes, is_html: bool) -> None:
    assert RestAnswer(200, content).is_html == is_html


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def secure_url(authority: trustme.CA, ca_file: str) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.issue_cert("localhost").configure_cert(context)
    with RestStandIn(greet, context) as running:
        yield running.url


def test_a_certificate_that_nobody_trusts(secure_url: str, ca_file: str) -> None:
    with pytest.raises(NoAnswer, match=r"SSLError: .*CERTIFICATE_VERIFY_FAILED"):
        client_of(secure_url).send("GET", "x")
    assert client_of(secure_url, ca_file=ca_file).send("GET", "x").status == 200


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_turned_off(secure_url: str) -> None:
    assert client_of(secure_url, verify=False).send("GET", "x").status == 200


def test_a_client_certificate(
    secure_url: str, ca_file: str, authority: trustme.CA, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    issued = authority.issue_cert("flyte@example.com")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    pair = (str(certificate), str(key))
    client = client_of(secure_url, ca_file=ca_file, client_certificate=pair)
    assert client.send("GET", "x").status == 200


def test_a_missing_ca_file_is_named(secure_url: str, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(NoAnswer, match=f"OSError: .*{gone}"):
        client_of(secure_url, ca_file=gone).send("GET", "x")
