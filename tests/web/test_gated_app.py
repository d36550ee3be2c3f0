"""Pages of other sites reach no server of the host: raw requests to real sockets."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.config import (
    AuthConfig,
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
)
from flyte_host.host.embedded_server import EmbeddedServer
from flyte_host.host.host import Host
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import MOST_LOGGED, PROTECTIVE_HEADERS, GatedApp
from flyte_host.web.web_server import WebServer
from tests.support.asgi import ask_app
from tests.support.issuer import AUDIENCE, key_set, rsa_key

FLOW = '{"name": "pwned", "steps": []}'
EVIL = {"Origin": "http://evil.example"}


class RawAnswer:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        fields = (line.split(": ", 1) for line in lines)
        self.headers = {name.title(): value for name, value in fields}

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


def ask(
    url: str,
    headers: dict[str, str] | None = None,
    path: str = "/",
    method: str = "GET",
    body: str = "",
    *,
    version: str = "1.1",
) -> RawAnswer:
    """The answer to a request with exactly these headers; the server's own ``Host`` by default."""
    address = url.removeprefix("http://")
    host, _, port = address.rpartition(":")
    sent = {"Host": address, "Connection": "close", "Content-Length": str(len(body))}
    lines = [f"{key}: {value}" for key, value in (sent | (headers or {})).items() if value]
    request = "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", body])
    with socket.create_connection((host.strip("[]"), int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        return RawAnswer(b"".join(iter(lambda: connection.recv(65536), b"")))


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def pages() -> Iterator[str]:
    app = GatedApp(hello, Gate("127.0.0.1", ["my.example"]), name="pages")
    server = WebServer(app, ("127.0.0.1", 0), name="pages")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def health(tmp_path: Path) -> Iterator[str]:
    """The pages of a whole host."""
    config = Config(
        FlyteConfig(),
        EmbeddedConfig("127.0.0.1:0", None),
        HostConfig(tmp_path / "flyte-host.db"),
        health=HealthConfig("127.0.0.1:0", hosts=("my.example",)),
    )
    host = Host(config, [], {}, Scrubber())
    host.start()
    yield host.health_url
    host.stop()


@pytest.fixture
def embedded() -> Iterator[Callable[..., str]]:
    servers: list[EmbeddedServer] = []

    def start(**config: Any) -> str:
        made = EmbeddedConfig("127.0.0.1:0", None, **config)
        servers.append(EmbeddedServer(made))
        servers[-1].start()
        return servers[-1].url

    yield start
    for each in servers:
        each.stop()


def with_auth(folder: Path) -> AuthConfig:
    policy, keys = folder / "policy.yaml", folder / "keys.json"
    policy.write_text("- path: /v1\n  methods: [GET, OPTIONS]\n", encoding="utf-8")
    keys.write_text(json.dumps(key_set(rsa_key())), encoding="utf-8")
    return AuthConfig(policy, AUDIENCE, keys)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (EVIL, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 421),
        ({"Host": ""}, 400),
    ],
    ids=str,
)
def test_no_method_gets_through(
    pages: str, method: str, headers: dict[str, str], status: int
) -> None:
    answer = ask(pages, headers, method=method)
    assert answer.status == status
    assert b"hello" not in answer.body
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "MY.example:9"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Host": "my.example", "Origin": "http://my.example", "Sec-Fetch-Site": "same-origin"},
        {
            "Host": "my.example",
            "Origin": "https://my.example",
            "X-Forwarded-Proto": "https, http",
        },
    ],
    ids=str,
)
def test_programs_and_own_pages_get_through(pages: str, headers: dict[str, str]) -> None:
    assert ask(pages, headers, method="POST", body="x").body == b"hello"


def test_a_probe_of_http_1_0_may_leave_out_the_host(pages: str) -> None:
    assert ask(pages, {"Host": ""}, version="1.0").body == b"hello"


def test_two_hosts_are_none_of_ours(pages: str) -> None:
    assert ask(pages, {"Host": "localhost", "host": "evil.example"}).status != 200


def test_a_refusal_is_json_that_nobody_keeps(pages: str) -> None:
    answer = ask(pages, EVIL)
    assert answer.error.startswith('found the Origin "http://evil.example", expected "http://127.')
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask(pages, EVIL, method="HEAD").body == b""


def test_a_page_in_the_datastore_is_not_a_page_of_flyte(embedded: Callable[..., str]) -> None:
    url, kind = embedded(), "multipart/form-data; boundary=b"
    page = "<script>fetch('/v1/flows')</script>"
    parts = f'name="value"; filename="x"\r\nContent-Type: text/html\r\n\r\n{page}'
    body = f"--b\r\nContent-Disposition: form-data; {parts}\r\n--b--\r\n"
    assert ask(url, {"Content-Type": kind}, "/v1/datastore/x", "PUT", body).status == 201
    answer = ask(url, path="/v1/datastore/x")
    assert (answer.body.decode(), answer.headers["Content-Type"]) == (page, "text/html")
    assert "sandbox" in answer.headers["Content-Security-Policy"].split("; ")


def assert_protected(answer: RawAnswer) -> None:
    assert PROTECTIVE_HEADERS.items() <= answer.headers.items()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/swagger"),
        ("GET", "/v1/datastore/none"),
        ("POST", "/v1/packs"),
        ("PUT", "/v1/packs"),
        ("OPTIONS", "/v1/packs"),
        ("DELETE", "/v1/flows/x"),
    ],
)
def test_every_answer_of_flyte_is_protected(
    embedded: Callable[..., str], method: str, path: str
) -> None:
    assert_protected(ask(embedded(), {}, path, method, '{"name": "X"}'))


def test_answers_to_what_is_refused_and_health_pages_are_protected(
    embedded: Callable[..., str], health: str, tmp_path: Path
) -> None:
    assert_protected(ask(embedded(), EVIL))
    assert_protected(ask(embedded(auth=with_auth(tmp_path))))
    for path in "/", "/live", "/metrics", "/none":
        assert_protected(ask(health, path=path))


def test_each_refusal_is_logged_once(pages: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for host in ("a.example", "a.example", "b.example", "a.example"):
            ask(pages, {"Host": host})
    ours = [each.getMessage() for each in caplog.records if each.name == "flyte_host.web.gated_app"]
    assert [each.partition(", expected")[0] for each in ours] == [
        'pages: refused a request from 127.0.0.1: found the Host "a.example"',
        'pages: refused a request from 127.0.0.1: found the Host "b.example"',
    ]


def test_made_up_names_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = GatedApp(hello, Gate("127.0.0.1"), name="pages")
    with caplog.at_level(logging.WARNING):
        for number in range(MOST_LOGGED + 10):
            assert ask_app(app, "/", headers={"Host": f"{number}.example"}).status == 421
    assert len(caplog.records) == MOST_LOGGED + 1
    assert caplog.messages[-1] == ("pages: refused many different requests; no more are logged")


@pytest.mark.parametrize("path", ["/", "/live", "/ready", "/metrics", "/packs/x"])
def test_health_pages_are_for_their_own_host_alone(health: str, path: str) -> None:
    refused = ask(health, {"Host": "evil.example:8090"}, path)
    assert (refused.status, refused.error.rpartition("; ")[2]) == (
        421,
        "if it is a name of this server, add it to hosts in [health]",
    )
    assert ask(health, EVIL, path).status == 403
    assert ask(health, {"Sec-Fetch-Site": "cross-site"}, path).status == 403
    assert ask(health, {}, path).status == ask(health, {"Host": "my.example"}, path).status


@pytest.mark.parametrize("path", ["/", "/live", "/ready"])
def test_health_pages_take_no_body(health: str, path: str) -> None:
    refused = ask(health, {}, path, "POST", "x")
    assert (refused.status, refused.error) == (
        413,
        "the request's body is too large, expected none",
    )


def test_a_page_of_another_site_stores_no_flow(embedded: Callable[..., str]) -> None:
    url = embedded(hosts=("my.example",))
    for headers in EVIL, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}:
        sent = headers | {"Content-Type": "text/plain;charset=UTF-8"}
        assert ask(url, sent, "/v1/flows", "POST", FLOW).status in (403, 421)
    assert json.loads(ask(url, path="/v1/flows").body)["flows"] == []
    assert ask(url, {}, "/v1/flows", "POST", FLOW).status == 201
    assert ask(url, {"Host": "my.example"}, "/v1/flows").status == 200
    assert "hosts in [flyte.embedded]" in ask(url, {"Host": "evil.example"}).error


def test_with_auth_the_token_decides_about_pages_and_the_host_holds(
    embedded: Callable[..., str], tmp_path: Path
) -> None:
    url = embedded(auth=with_auth(tmp_path))
    assert ask(url, EVIL | {"Sec-Fetch-Site": "cross-site"}, "/v1").status == 200
    assert ask(url, EVIL, "/v1/flows", "POST", FLOW).status == 401
    assert ask(url, {"Host": "evil.example"}, "/v1").status == 421


def test_flyte_for_tests_is_closed_to_pages_too(flyte_server: FlyteServer) -> None:
    assert ask(flyte_server.url, EVIL, "/v1/flows", "POST", FLOW).status == 403
    assert ask(flyte_server.url, {"Host": "evil.example"}).status == 421
    assert ask(flyte_server.url).status == 200
