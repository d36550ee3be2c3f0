"""What the Go client library writes to its socket, byte for byte, and what it reads from it.

The requests were recorded from that library against the Go server; only ids are put in. Answers
are compared with those of that server: the status, the headers that a client can look at, the
body. ``test_wire`` has the bodies of the rest of the API.
"""

import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any, NamedTuple

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.embedded.test_wire import EVENT, FLOW, INPUT, REGISTERED, REGISTRATION, TAKEN, V1, same

HOST = "127.0.0.1:8081"
"""The address that the recorded client called: links are made of the Host header."""

WIRE = (
    b'{"name":"Wire","labels":{"env":"dev","zone":"eu=1"},"events":[{"name":"Echoed","links":'
    b'[{"href":"http://127.0.0.1/help#Echoed","rel":"help"}]},{"name":"Triggered"}],"commands":'
    b'[{"name":"echo","events":["Echoed"],"links":[{"href":"http://127.0.0.1/help#echo",'
    b'"rel":"help"}]},{"name":"boom","events":[]},{"name":"fatal","events":[]},'
    b'{"name":"badpayload","events":[]}],"links":[{"href":"http://127.0.0.1/help","rel":"help"}]}'
)
WIRE_ID = "Wire.env.dev.zone.eu=1"
TRIGGERED = (
    b'{"event":"Triggered","payload":{"n":7,"text":"hi \\u003cb\\u003e\\u0026\\u003c/b\\u003e"},'
    b'"createdAt":"2026-11-23T22:23:32.915791316Z"}'
)
PANICKED = (
    b'{"event":"FATAL","payload":"boom \\u003c{\\"x\\":1}\\u003e",'
    b'"createdAt":"2026-11-23T22:23:36.945680933Z"}'
)
TOLD = (
    b'{"event":"FATAL","payload":{"why":"asked \\u0026 told"},'
    b'"createdAt":"2026-11-23T22:23:36.960146428Z"}'
)
NO_HANDLER = (
    b'{"event":"FATAL","payload":"no handler could be found for command \\"ghost\\" in map['
    b'badpayload:0x670f60 boom:0x6703e0 echo:0x670fe0 fatal:0x670480]",'
    b'"createdAt":"2026-11-23T22:23:36.993768377Z"}'
)
RESULT = b'{"event":"Echoed","payload":' + INPUT + b',"createdAt":"2026-11-23T21:46:53.2995012Z"}'


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def href(self) -> str:
        return str(json.loads(self.body)["links"][0]["href"]).removeprefix(f"http://{HOST}")


class GoClient:
    """One connection at a time; headers come in the order in which Go's net/http writes them."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._socket = socket.create_connection(self._address, timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        self._socket.close()

    def links(self) -> Answered:
        return self._sent(
            f"GET /v1 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Go-http-client/1.1\r\n"
            "Accept: application/json\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        )

    def post(self, path: str, body: bytes, recorded_length: int | None = None) -> Answered:
        assert recorded_length in {None, len(body)}
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n"
            "Accept-Encoding: gzip\r\n\r\n"
        )
        return self._sent(head.encode() + body)

    def take(self, pack: str) -> Answered:
        return self.post(f"/v1/packs/{pack}/actions/take", b"null", 4)

    def _sent(self, request: bytes) -> Answered:
        self._socket.sendall(request)
        answer = HTTPResponse(self._socket)
        answer.begin()
        headers = {name.title(): value for name, value in answer.getheaders()}
        body = answer.read()
        assert answer.version == 11
        assert "Date" in headers
        assert "Content-Encoding" not in headers
        assert headers.get("Content-Length") == (None if answer.status == 204 else str(len(body)))
        assert not answer.will_close
        return Answered(answer.status, headers, body)


@pytest.fixture
def connect(url: str) -> Iterator[Callable[[], GoClient]]:
    """Opens connections to the embedded flyte."""
    clients = []

    def connect() -> GoClient:
        clients.append(GoClient(url))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def go(connect: Callable[[], GoClient]) -> GoClient:
    return connect()


def here(recorded: bytes) -> bytes:
    """What was recorded on another port."""
    return recorded.replace(b":8080", b":8081")


def test_a_pack_from_start_to_result(call: Any, go: GoClient) -> None:
    """GET /v1, POST /v1/packs, take, result"""
    links = go.links()
    assert (links.status, links.body) == (200, here(V1))
    assert links.headers["Content-Type"] == "application/json; charset=utf-8"
    assert links.headers["Content-Length"] == "760"

    registered = go.post("/v1/packs", REGISTRATION, 150)
    assert (registered.status, same(registered.body)) == (201, here(REGISTERED))
    assert registered.headers["Location"] == f"http://{HOST}/v1/packs/Bench"
    assert registered.headers["Content-Type"] == "text/plain; charset=utf-8"

    nothing = go.take("Bench")
    assert (nothing.status, nothing.body) == (204, b"")
    assert "Content-Type" not in nothing.headers

    call("POST", "/v1/flows", FLOW)
    assert go.post("/v1/packs/Bench/events", EVENT).status == 202
    taken = go.take("Bench")
    assert (taken.status, same(taken.body)) == (200, here(TAKEN))
    assert taken.headers["Content-Type"] == "application/json; charset=utf-8"
    assert taken.headers["Content-Length"] == "275"

    done = go.post(taken.href, RESULT, 170)
    assert (done.status, done.body) == (202, b"")
    assert "Content-Type" not in done.headers
    assert go.post(taken.href, RESULT).status == 500


@pytest.fixture
def wire(call: Any, go: GoClient, step: Callable[..., Any]) -> Answered:
    """A pack with labels and help, and a flow that asks it for everything that goes wrong."""
    steps = []
    for name in ("boom", "fatal", "badpayload", "ghost"):
        made = step("Triggered", name, id=name, input="{{ Event.Payload.text }}")
        made["event"] |= {"packName": "Wire", "packLabels": {"env": "dev"}}
        made["command"] |= {"packName": "Wire", "packLabels": {"zone": "eu=1"}}
        steps.append(made)
    call.flow(*steps, name="wrong")
    return go.post("/v1/packs", WIRE, 422)


def test_a_registration_with_labels_and_help(wire: Answered) -> None:
    """POST /v1/packs: 1,493 bytes were recorded, with a time of nine digits"""
    this = f"http://{HOST}/v1/packs/{WIRE_ID}"
    take_rel = f"http://{HOST}/swagger#!/action/takeAction"

    def command(name: str, *events: str) -> dict[str, Any]:
        link = {"href": f"{this}/actions/take?commandName={name}", "rel": take_rel}
        return {"name": name, "events": list(events), "links": [link]}

    help_link = {"href": "http://127.0.0.1/help", "rel": "help"}
    expected = {
        "id": WIRE_ID,
        "name": "Wire",
        "labels": {"env": "dev", "zone": "eu=1"},
        "commands": [
            command("echo", "Echoed"),
            command("boom"),
            command("fatal"),
            command("badpayload"),
        ],
        "events": [
            {
                "name": "Echoed",
                "links": [{"href": "http://127.0.0.1/help#Echoed", "rel": "help"}],
            },
            {"name": "Triggered"},
        ],
        "lastSeen": "2026-11-23T22:23:31.897931520Z",
        "links": [
            help_link,
            {"href": this, "rel": "self"},
            {"href": f"http://{HOST}/v1/packs", "rel": "up"},
            {"href": f"{this}/actions/take", "rel": take_rel},
            {"href": f"{this}/events", "rel": f"http://{HOST}/swagger#/event"},
        ],
        "status": "live",
    }
    recorded = json.dumps(expected, separators=(",", ":")).encode()
    assert wire.status == 201
    assert same(wire.body) == same(recorded)
    assert len(recorded) == 1493 + 1  # Go had dropped a zero at the end of the time
    assert wire.headers["Location"] == this


@pytest.mark.usefixtures("wire")
def test_actions_that_go_wrong(call: Any, go: GoClient, connect: Callable[[], GoClient]) -> None:
    """A panic, a fatal event, an unknown command, and a payload that cannot be sent"""
    assert go.post(f"/v1/packs/{WIRE_ID}/events", TRIGGERED, 130).status == 202
    taken = {}
    while (answer := go.take(WIRE_ID)).status == 200:
        document = json.loads(answer.body)
        assert document["input"] == "hi <b>&</b>"
        taken[document["command"]] = answer.href
    assert list(taken) == ["boom", "fatal", "badpayload", "ghost"]

    # Results go out on connections of their own, while the next take is under way.
    for name, body, length in (
        ("boom", PANICKED, 101),
        ("fatal", TOLD, 100),
        ("ghost", NO_HANDLER, 193),
    ):
        assert connect().post(taken[name], body, length).status == 202
        assert go.take(WIRE_ID).status == 204

    [execution] = call.executions()
    actions = execution["actions"]
    assert {name: it["state"]["value"] for name, it in actions.items()} == {
        "boom": "FATAL",
        "fatal": "FATAL",
        "badpayload": "PENDING",
        "ghost": "FATAL",
    }
    assert actions["boom"]["result"]["payload"] == 'boom <{"x":1}>'
    assert actions["fatal"]["result"]["payload"] == {"why": "asked & told"}
    assert actions["ghost"]["result"]["payload"].startswith("no handler could be found for command")
    assert actions["boom"]["result"]["createdAt"] == "2026-11-23T22:23:36.945Z"


@pytest.mark.parametrize(
    ("name", "requested", "status"),
    [
        ("My Pack", "/v1/packs/My%20Pack/actions/take", 204),
        ("naïve", "/v1/packs/na%C3%AFve/actions/take", 204),
        ("q?#", "/v1/packs/q?", 405),
    ],
)
def test_odd_names(go: GoClient, name: str, requested: str, status: int) -> None:
    """The links come as they are; Go makes a request of them, which may not be the one meant"""
    registered = go.post("/v1/packs", json.dumps({"name": name}).encode())
    links = json.loads(registered.body)["links"]
    assert links[2]["href"] == f"http://{HOST}/v1/packs/{name}/actions/take"
    location = registered.headers["Location"].encode("latin-1").decode()
    assert location == f"http://{HOST}/v1/packs/{name}"
    assert go.post(requested, b"null").status == status


def test_a_pack_that_was_deleted_gets_404(call: Any, go: GoClient) -> None:
    """POST /v1/packs/{packId}/actions/take: 404, on which the Go pack exits"""
    go.post("/v1/packs", REGISTRATION)
    assert go.take("Bench").status == 204
    assert call("DELETE", "/v1/packs/Bench").status_code == 204
    assert go.take("Bench").status == 404
    assert go.post("/v1/packs", REGISTRATION).status == 201
