"""Logins, servers that misbehave, settings and the health check."""

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgpack
import pytest
from flyte_pack_serf import SerfPack, SerfSettings

from flyte_host import Health
from flyte_host.testing.waiting import wait_until
from tests.support.bad_servers import ANY_PROTOCOL, HTTP, NEEDING_PATIENCE, bad_server, closed_port

from .serf_agent import AUTH_KEY, SerfAgent

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., SerfPack]
Hearing = Callable[[SerfPack], AbstractContextManager[list[Any]]]


def says(*messages: Any, raw: bytes = b"") -> Callable[[socket.socket, threading.Event], None]:
    """Gives these answers, one to each request, and then hangs up."""

    def treat(connection: socket.socket, over: threading.Event) -> None:
        for each in messages:
            connection.recv(65536)
            connection.sendall(msgpack.packb(each))
        if raw:
            connection.sendall(raw)
        connection.recv(65536)

    return treat


FINE = {"Seq": 1, "Error": ""}
NESTED = b"\x91" * 1000 + b"\x90"
"""As deep as msgpack reads it, and deeper than Python can show it."""
BAD = {
    **ANY_PROTOCOL,
    "HTML": HTTP["HTML"],
    "refuses": says({"Seq": 1, "Error": "Unsupported IPC version"}),
    "a list": says([1, 2]),
    "no error": says({"Seq": 1}),
    "nested": says(raw=NESTED),
    "a nested error": says(raw=b"\x81\xa5Error" + NESTED),
    "nested too deeply": says(raw=b"\x91" * 50_000),
    "many lists": says(raw=b"\xdc\x00\x64" * 30 + b"\x90" * 20_000),
    "more parts than any": says(raw=b"\xdd\x00\x0f\xff\xff" + b"\x90" * 50_000),
    "more keys than any": says(raw=b"\xdf\x7f\xff\xff\xff" + b"\xa1k\x01" * 20_000),
    "an ext": says(raw=b"\xc8\xff\xff\x05" + b"x" * 65_535),
    "a map as a key": says(raw=b"\x81\x80\x01"),
    "fine, then noise": says(FINE, FINE, raw=b"\xc1" * 10),
    "fine, then endless": says(FINE, FINE, raw=b"\xdb\x7f\xff\xff\xff" + b"x" * 110_000),
}


def health(pack: SerfPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("serf", False)
    return check.check()


def test_health(agent: SerfAgent, make_pack: MakePack) -> None:
    expected = Health(True, f"{agent.rpc_address} answers")
    assert health(make_pack(agent.rpc_address)) == expected


@pytest.mark.parametrize("key", ["wrong-secret", ""])
def test_a_wrong_key(agent: SerfAgent, make_pack: MakePack, call: Call, key: str) -> None:
    pack = make_pack(agent.rpc_address, rpc_auth_key=key)
    name, payload = call(pack, {"name": "x"})
    assert name == "SendEventFailed"
    assert "auth" in payload.lower()
    assert "wrong-secret" not in payload
    assert not health(pack).healthy


@pytest.mark.parametrize("kind", BAD)
def test_servers_that_misbehave(
    make_pack: MakePack, call: Call, hearing: Hearing, kind: str
) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(BAD[kind]) as port:
        pack = make_pack(f"127.0.0.1:{port}", timeout_seconds=limit)
        name, payload = call(pack, {"name": "x"})
        assert name == "SendEventFailed"
        assert payload.startswith("Can't send user event: ")
        assert not health(pack).healthy
        with hearing(pack) as heard:
            wait_until(lambda: pack._deaf_because, "it notices that it hears nothing")
        assert heard == []


@pytest.mark.parametrize(
    "answer",
    [{"Seq": 1, "Error": f"no: {AUTH_KEY}, " + "x" * 60_000}, [AUTH_KEY, "x" * 60_000]],
    ids=["an error", "no header"],
)
def test_the_agent_repeats_the_key_at_length(make_pack: MakePack, call: Call, answer: Any) -> None:
    with bad_server(says(FINE, answer)) as port:
        name, payload = call(make_pack(f"127.0.0.1:{port}"), {"name": "x"})
    assert name == "SendEventFailed"
    assert AUTH_KEY not in payload
    assert "***" in payload
    assert len(payload) < 1000


def test_nobody_listens(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(f"127.0.0.1:{closed_port()}")
    name, payload = call(pack, {"name": "x"})
    assert name == "SendEventFailed"
    assert "ConnectionRefusedError" in payload
    assert not health(pack).healthy


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"Name": "n", "Payload": b"\xff"}, {"name": "n", "payload": "\ufffd"}),
        ({"Name": "n", "Payload": "text"}, {"name": "n", "payload": "text"}),
        ({"Name": "n", "Payload": None}, {"name": "n", "payload": ""}),
        ({}, {"name": "", "payload": ""}),
        ({"Name": 1, "Payload": [b"x"]}, {"name": "1", "payload": "[b'x']"}),
        (
            {"Name": "n", "Payload": msgpack.unpackb(NESTED)},
            {"name": "n", "payload": "lists in lists, more than can be shown"},
        ),
    ],
)
def test_odd_events(make_pack: MakePack, hearing: Hearing, body: Any, told: Any) -> None:
    event = msgpack.packb(FINE) + msgpack.packb(body)
    with bad_server(says(FINE, FINE, FINE, raw=event)) as port:
        with hearing(make_pack(f"127.0.0.1:{port}")) as heard:
            wait_until(lambda: heard, "an event is heard")
        assert heard[0] == told


def test_an_invalid_event_ends_the_connection(make_pack: MakePack, hearing: Hearing) -> None:
    event = msgpack.packb(FINE) + msgpack.packb([1])
    with bad_server(says(FINE, FINE, FINE, raw=event)) as port:
        pack = make_pack(f"127.0.0.1:{port}")
        with hearing(pack) as heard:
            wait_until(lambda: "is not a Serf agent" in pack._deaf_because, "it complains")
        assert heard == []


def test_health_of_a_pack_that_hears_nothing(agent: SerfAgent, make_pack: MakePack) -> None:
    pack = make_pack(agent.rpc_address)
    assert pack._pause_after(0, "it hung up") == 0.05
    assert health(pack) == Health(False, "receiving no user events: it hung up")


@pytest.mark.parametrize(("last", "pause"), [(0, 0.5), (0.5, 1), (20, 30), (30, 30)])
def test_pauses_grow(make_pack: MakePack, last: float, pause: float) -> None:
    pack = make_pack("serf:7373", longest_pause_seconds=30)
    assert pack._pause_after(last, "x") == pause


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SerfSettings().completed({}).rpc_address == "127.0.0.1:7373"
    environ = {"SERF_RPC_ADDR": "[::1]:1", "SERF_RPC_AUTH": "key"}
    found = SerfSettings().completed(environ)
    assert (found.address(), found.rpc_auth_key) == (("::1", 1), "key")
    assert SerfSettings("own:2").completed(environ).address() == ("own", 2)
    monkeypatch.setenv("SERF_RPC_ADDR", "serf:7373")
    assert SerfPack(SerfSettings()).flyte_pack().name == "Serf"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rpc_address": "serf"}, "rpc_address: found 'serf', expected one like '127.0.0.1:7373'"),
        ({"rpc_address": "serf:x"}, "rpc_address: found 'serf:x', expected one like '127.0.0.1:7"),
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"longest_pause_seconds": 0}, "longest_pause_seconds: found 0, expected more than 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        SerfPack(SerfSettings(**settings), {})
    assert str(raised.value).startswith(text)


def test_the_key_is_never_shown() -> None:
    assert AUTH_KEY not in repr(SerfSettings(rpc_auth_key=AUTH_KEY))
