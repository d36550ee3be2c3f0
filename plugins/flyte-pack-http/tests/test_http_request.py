"""Request against a real web service: what it sends, what it says, and how it fails."""

import base64
import ssl
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import trustme
from flyte_pack_http import HttpPack, HttpSettings
from flyte_pack_http.settings import HttpCredential
from flyte_pack_http.web_request import WebRequest, WebResponse, WebSender

from flyte_host.traceparent import CURRENT
from tests.support.bad_servers import closed_port

from .web_service import WebService

RequestOf = Callable[..., tuple[str, Any]]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LOOPBACK = ["127.0.0.1/32"]
FORM = "application/x-www-form-urlencoded"


def test_the_definition() -> None:
    definition = HttpPack(HttpSettings()).flyte_pack()
    assert (definition.name, dict(definition.labels), list(definition.event_defs)) == (
        "Http",
        {},
        [],
    )
    [command] = definition.commands
    assert (command.name, command.idempotent) == ("Request", False)
    assert [each.name for each in command.output_events] == ["Response", "RequestFailed"]
    assert command.timeout_seconds == 90


@pytest.mark.parametrize(
    ("charset", "content"),
    [
        ("utf-7", "+2AA-"),
        ("unicode_escape", r"\ud800"),
        ("Raw_Unicode_Escape", r"\ud800"),
        ("punycode", "zz9a" * 150_000),
        ("idna", "xn--a"),
    ],
)
def test_a_codec_of_python_is_not_a_charset(charset: str, content: str) -> None:
    answer = WebResponse("", 200, 0, content=content.encode(), charset=charset)
    assert answer.payload()["body"] == content


def test_a_document_is_posted(request_of: RequestOf, service: WebService) -> None:
    wanted = {
        "method": "post",
        "url": f"{service.url}/echo",
        "query": {"q": "a b", "tag": ["x", "y"]},
        "headers": {"X-Trace": "7"},
        "json": {"text": "Grüße"},
    }
    name, payload = request_of(wanted)
    assert (name, payload["status"], payload["method"]) == ("Response", 200, "POST")
    assert payload["contentType"] == "application/json"
    assert payload["url"] == f"{service.url}/echo?q=a+b&tag=x&tag=y"
    assert "set-cookie" not in payload["headers"]
    [asked] = service.asked
    assert (asked.method, asked.path) == ("POST", "/echo?q=a+b&tag=x&tag=y")
    assert (asked.headers["x-trace"], asked.headers["content-type"]) == ("7", "application/json")
    assert payload["json"]["body"] == asked.body == '{"text": "Gr\\u00fc\\u00dfe"}'


@pytest.mark.parametrize(
    ("headers", "sent"), [({}, TRACE), ({"Traceparent": "00-mine"}, "00-mine")]
)
def test_the_trace_of_the_action_goes_with_it(
    service: WebService, headers: dict[str, str], sent: str
) -> None:
    sender, context = WebSender(HttpSettings(allowed_networks=LOOPBACK)), copy_context()
    context.run(CURRENT.set, TRACE)
    context.run(sender.send, WebRequest(f"{service.url}/echo", headers=headers))
    sender.send(WebRequest(f"{service.url}/echo"))
    assert [each.headers.get("traceparent") for each in service.asked] == [sent, None]


@pytest.mark.parametrize(
    ("given", "kind", "body"),
    [
        (
            {"form": {"a": "1 2", "b": ["x", "y"]}},
            FORM,
            "a=1+2&b=x&b=y",
        ),
        ({"body": "Grüße"}, None, "Grüße"),
        ({"json": []}, "application/json", "[]"),
    ],
)
def test_other_bodies(
    request_of: RequestOf, service: WebService, given: dict[str, Any], kind: str | None, body: str
) -> None:
    request_of({"method": "PUT", "url": f"{service.url}/echo"} | given)
    [asked] = service.asked
    assert (asked.headers.get("content-type"), asked.body) == (kind, body)


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "delete"])
def test_methods_without_a_body(request_of: RequestOf, service: WebService, method: str) -> None:
    name, payload = request_of({"method": method, "url": f"{service.url}/latin"})
    assert (name, service.asked[0].method) == ("Response", method.upper())
    assert payload["body"] == ("" if method == "HEAD" else "Grüße")


@pytest.mark.parametrize(
    ("path", "body", "encoded"),
    [
        ("latin", "Grüße", ""),
        ("odd", "Grüße", ""),
        ("binary", "", base64.b64encode(b"\xff\xfe\0").decode()),
    ],
)
def test_text_and_bytes(
    request_of: RequestOf, service: WebService, path: str, body: str, encoded: str
) -> None:
    _, payload = request_of({"url": f"{service.url}/{path}"})
    assert (payload["body"], payload["bodyBase64"], payload["json"]) == (body, encoded, None)


def test_a_body_that_only_says_it_is_json(request_of: RequestOf, service: WebService) -> None:
    name, payload = request_of({"url": f"{service.url}/badjson"})
    assert (name, payload["json"], len(payload["body"])) == ("Response", None, 100_000)


def test_half_a_surrogate_pair_does_not_spoil_a_document(
    request_of: RequestOf, service: WebService
) -> None:
    _, payload = request_of({"url": f"{service.url}/surrogate"})
    assert payload["json"] == {"a": "b\ufffd"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_a_status_that_was_not_expected(
    request_of: RequestOf, service: WebService, status: int
) -> None:
    name, payload = request_of({"url": f"{service.url}/status/{status}"})
    assert (name, payload["status"]) == ("RequestFailed", status)
    assert payload["error"] == f"found {status}, expected 200 to 299"
    assert (payload["body"], payload["contentType"]) == ("<h1>so it is</h1>", "text/html")


def test_the_flow_says_what_it_expects(request_of: RequestOf, service: WebService) -> None:
    wanted = {"url": f"{service.url}/status/404", "expectedStatus": [404, 410]}
    assert request_of(wanted)[0] == "Response"
    name, payload = request_of({"url": f"{service.url}/echo", "expectedStatus": [404, 410]})
    assert (name, payload["error"]) == ("RequestFailed", "found 200, expected 404, 410")


# Redirects -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "x"), (308, "POST", "x")],
)
def test_what_a_redirect_makes_of_a_post(
    request_of: RequestOf, service: WebService, status: int, method: str, body: str
) -> None:
    url = f"{service.url}/to/{status}//echo"
    name, payload = request_of({"method": "POST", "url": url, "body": "x"})
    assert (name, payload["url"]) == ("Response", f"{service.url}/echo")
    assert (service.asked[1].method, service.asked[1].body) == (method, body)


def test_a_redirect_need_not_be_followed(request_of: RequestOf, service: WebService) -> None:
    wanted = {"url": f"{service.url}/loop", "followRedirects": False, "expectedStatus": [302]}
    name, payload = request_of(wanted)
    assert (name, payload["headers"]["location"], payload["body"]) == ("Response", "/loop", "")


def test_redirects_end(request_of: RequestOf, service: WebService) -> None:
    name, payload = request_of({"url": f"{service.url}/loop"}, max_redirects=3)
    expected = "more than 3 redirects (max_redirects)"
    assert (name, payload["error"], len(service.asked)) == ("RequestFailed", expected, 4)


def test_the_body_of_a_redirect_is_not_read(request_of: RequestOf, service: WebService) -> None:
    assert request_of({"url": f"{service.url}/redirectbody"})[0] == "Response"


def test_what_a_flow_gave_for_one_site_stays_there(
    request_of: RequestOf, service: WebService
) -> None:
    with WebService() as other:
        headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Trace": "7"}
        url = f"{service.url}/to/307/{other.url}/echo"
        assert request_of({"url": url, "headers": headers})[0] == "Response"
        assert "authorization" in service.asked[0].headers
        assert not {"authorization", "cookie"} & other.asked[0].headers.keys()
        assert other.asked[0].headers["x-trace"] == "7"


# Credentials -----------------------------------------------------------------------------------

GIVEN: list[tuple[dict[str, Any], str, str]] = [
    ({"token": "t0k€n"}, "authorization", ""),
    ({"token": "t0ken"}, "authorization", "Bearer t0ken"),
    ({"user": "ann", "password": "pa€"}, "authorization", "Basic YW5uOnBh4oKs"),
    ({"header": "X-Api-Key", "secret": "k3y/1+2"}, "x-api-key", "k3y/1+2"),
]


@pytest.mark.parametrize(("given", "header", "value"), GIVEN[1:])
def test_a_credential_goes_where_it_may(
    request_of: RequestOf, service: WebService, given: dict[str, Any], header: str, value: str
) -> None:
    credentials = {"build": {"urls": [f"{service.url}/echo"], **given}}
    wanted = {"url": f"{service.url}/echo", "credential": "build"}
    name, payload = request_of(wanted, credentials=credentials)
    assert (name, service.asked[0].headers[header]) == ("Response", value)
    # The service repeated it, and nobody who reads events sees it.
    assert value.rpartition(" ")[2] not in str(payload)
    assert "***" in payload["json"]["headers"][header]


@pytest.mark.parametrize("path", ["echo/k%C3%A9y%2F1", "to/302/{other}/k%C3%A9y%2F1"])
def test_a_secret_that_comes_back_escaped_is_hidden(
    request_of: RequestOf, service: WebService, path: str
) -> None:
    with WebService() as other:
        credentials = {"build": {"urls": [service.url], "token": "kéy/1"}}
        url = f"{service.url}/{path.format(other=other.url)}"
        _, payload = request_of({"url": url, "credential": "build"}, credentials=credentials)
    assert "%2F1" not in str(payload)
    assert payload["url"].endswith("/***")


@pytest.mark.parametrize(
    "path", ["/other", "/echoes", "/echo/../other", "/echo/%2e%2e/other", "/%65cho/..%2fother"]
)
def test_a_credential_goes_nowhere_else(
    request_of: RequestOf, service: WebService, path: str
) -> None:
    credentials = {"build": {"urls": [f"{service.url}/echo"], "token": "t0ken"}}
    name, payload = request_of(
        {"url": f"{service.url}{path}", "credential": "build"}, credentials=credentials
    )
    assert (name, service.asked) == ("RequestFailed", [])
    expected = f"credential 'build' is not for this URL, but for {service.url}/echo"
    assert payload["error"] == expected


@pytest.mark.parametrize("given", [each for each, _, _ in GIVEN[1:]])
def test_a_redirect_does_not_take_a_credential_along(
    request_of: RequestOf, service: WebService, given: dict[str, Any]
) -> None:
    with WebService() as other:
        credentials = {"build": {"urls": [f"{service.url}/to"], **given}}
        url = f"{service.url}/to/307/{other.url}/echo"
        name, _ = request_of({"url": url, "credential": "build"}, credentials=credentials)
        assert name == "Response"
        assert not {"authorization", "x-api-key"} & other.asked[0].headers.keys()


def test_a_credential_that_is_not_there(request_of: RequestOf) -> None:
    _, payload = request_of({"url": "http://a.example.com", "credential": "x"})
    assert payload["error"] == "credential: found 'x', expected one of the settings: none"


def test_secrets_are_not_shown() -> None:
    credential = HttpCredential(["https://a.example.com"], token="t0ken")
    assert "t0ken" not in repr(HttpSettings(credentials={"build": credential}))


# What goes wrong -------------------------------------------------------------------------------

AWAY = "http://127.0.0.1:{free}/"
TROUBLE: list[tuple[dict[str, Any], str]] = [
    ({"url": ""}, "url: found '', expected one like 'https://api.example.com/v1'"),
    ({"url": "ftp://a.example.com"}, "url: found 'ftp://a.example.com', expected one like"),
    ({"url": "http://"}, "url: found 'http://', expected one like"),
    ({"url": "http://[::1"}, "url: Invalid IPv6 URL"),
    ({"url": "http://ann:pa@a.example.com"}, "url: found a user or password in it, expected a"),
    ({"url": "http://a.example.com:99999"}, "InvalidURL: "),
    ({"url": "http://no-such-host.invalid"}, "gaierror: "),
    ({"url": "http://" + "a" * 300}, ""),
    ({"url": "{url}/echo", "method": "GET /x HTTP/1.1\r\nA:"}, "ValueError: "),
    ({"url": "{url}/echo", "headers": {"A": "1\r\nB: 2"}}, "InvalidHeader: "),
    ({"url": "{url}/echo", "headers": {"A\r\nB": "2"}}, "InvalidHeader: "),
    ({"url": "{url}/echo", "json": {"a": 1}, "body": "x"}, "json and body: found both, expected"),
    ({"url": "{url}/echo", "timeoutSeconds": -1}, "timeoutSeconds: found -1, expected more than 0"),
    ({"url": AWAY}, "ConnectionRefusedError: "),
    ({"url": "{url}/garbage"}, "BadStatusLine: "),
    ({"url": "{url}/large/1001"}, "200, with a body of more than 1000 bytes (max_response_bytes)"),
    ({"url": "{url}/bomb"}, "200, with a body of more than 1000 bytes (max_response_bytes)"),
    ({"url": "{url}/silent", "timeoutSeconds": 0.2}, ""),
    ({"url": "{url}/endless/head", "timeoutSeconds": 0.2}, ""),
    ({"url": "{url}/endless/body", "timeoutSeconds": 0.2}, ""),
]


@pytest.mark.parametrize(("document", "error"), TROUBLE, ids=lambda each: str(each)[:40])
def test_trouble_is_an_event(
    request_of: RequestOf, service: WebService, document: dict[str, Any], error: str
) -> None:
    url = document["url"].replace("{url}", service.url).replace("{free}", str(closed_port()))
    name, payload = request_of(document | {"url": url}, max_response_bytes=1000)
    assert name == "RequestFailed"
    assert payload["error"].startswith(error)
    keys = {"method", "url", "status", "headers", "contentType", "body", "bodyBase64", "json"}
    assert payload.keys() == keys | {"seconds", "error"}
    assert payload["status"] == 0


def test_a_body_of_the_largest_size(request_of: RequestOf, service: WebService) -> None:
    name, payload = request_of({"url": f"{service.url}/large/1000"}, max_response_bytes=1000)
    assert (name, len(payload["body"])) == ("Response", 1000)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (None, "input: expected object, got null"),
        ({}, "input: object missing required field url"),
        ({"url": 5}, "input.url: expected str, got int"),
        ({"url": "http://a", "uri": "x"}, "unknown"),
    ],
)
def test_input_that_does_not_fit(request_of: RequestOf, document: Any, error: str) -> None:
    name, payload = request_of(document)
    assert name == "FATAL"
    assert error in payload


def test_certificates_are_checked(request_of: RequestOf, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with WebService(context) as service:
        wanted = {"url": f"{service.url}/echo"}
        name, payload = request_of(wanted)
        assert (name, payload["error"].split(":")[0]) == (
            "RequestFailed",
            "SSLCertVerificationError",
        )
        assert request_of(wanted, ca_file=str(tmp_path / "ca.pem"))[0] == "Response"
        slow = {"url": f"{service.url}/endless/body", "timeoutSeconds": 0.3}
        name, payload = request_of(slow, ca_file=str(tmp_path / "ca.pem"))
        assert (name, payload["error"][:18]) == ("RequestFailed", "no end after 0.3 s")
