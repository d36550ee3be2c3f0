"""Which addresses a request may go to, however they are written."""

import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from flyte_pack_http.public_address import AddressRefused, connect, is_allowed

from .web_service import WebService

RequestOf = Callable[..., tuple[str, Any]]

FORBIDDEN = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "168.63.129.16",
    "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::1", "fe80::1", "fe80::1%lo",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.128.0.1", "172.32.0.1", "2606:4700::1111",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450:4001::1",
]  # fmt: skip
WRITTEN = [
    "127.0.0.1", "localhost", "LOCALHOST", "127.1", "127.0.1", "2130706433", "0x7f000001",
    "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::127.0.0.1]",
    "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_allowed(address, [])


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_is_public(address: str) -> None:
    assert is_allowed(address, [])


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_an_allowed_network(address: str) -> None:
    assert is_allowed(address, [ip_network("10.1.0.0/16")])
    assert not is_allowed(address, [ip_network("10.2.0.0/16"), ip_network("fd00::/8")])


@pytest.mark.parametrize("host", WRITTEN)
def test_no_spelling_reaches_this_machine(
    request_of: RequestOf, service: WebService, host: str
) -> None:
    url = f"http://{host}:{service.port}/echo"
    name, payload = request_of({"url": url}, allowed_networks=[])
    assert (name, payload["status"]) == ("RequestFailed", 0)
    assert "secret" not in payload["error"]
    assert service.asked == []


def test_the_error_says_what_to_do(request_of: RequestOf) -> None:
    _, payload = request_of({"url": "http://localhost:1/"}, allowed_networks=[])
    assert payload["error"].startswith("AddressRefused: localhost is ")
    expected = "which is not public; to allow it, add its network to allowed_networks"
    assert payload["error"].endswith(expected)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_checked_again(
    request_of: RequestOf, service: WebService, status: int
) -> None:
    target = f"http://127.0.0.2:{service.port}/echo"
    name, payload = request_of({"url": f"{service.url}/to/{status}/{target}"})
    assert (name, payload["status"]) == ("RequestFailed", 0)
    assert payload["error"].startswith("AddressRefused: 127.0.0.2 is 127.0.0.2, which is not")
    assert len(service.asked) == 1


@pytest.mark.parametrize("target", ["file:///etc/hosts", "ftp://127.0.0.1/"])
def test_a_redirect_stays_on_the_web(
    request_of: RequestOf, service: WebService, target: str
) -> None:
    name, payload = request_of({"url": f"{service.url}/to/302/{target}"})
    assert name == "RequestFailed"
    assert "expected one like 'https://" in payload["error"]


def test_a_name_is_resolved_once(
    service: WebService, monkeypatch: pytest.MonkeyPatch, request_of: RequestOf
) -> None:
    """A second answer of the DNS, which may differ, is never asked for."""
    asked = []
    local = socket.getaddrinfo("127.0.0.1", service.port, type=socket.SOCK_STREAM)

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return local

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    name, payload = request_of({"url": f"http://rebinding.example.com:{service.port}/echo"})
    assert (name, asked) == ("Response", ["rebinding.example.com"])
    assert payload["json"]["headers"]["host"] == f"rebinding.example.com:{service.port}"


def test_of_several_addresses_only_allowed_ones_are_tried(
    service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        entry
        for host in ("127.0.0.2", "127.0.0.1")
        for entry in socket.getaddrinfo(host, service.port, type=socket.SOCK_STREAM)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with connect("both.example.com", service.port, 5, [ip_network("127.0.0.1/32")]) as reached:
        assert reached.getpeername()[0] == "127.0.0.1"
    with pytest.raises(AddressRefused, match=r"both\.example\.com is 127\.0\.0\.2, 127"):
        connect("both.example.com", service.port, 5, [])


def test_no_proxy_of_the_environment_is_used(
    service: WebService, monkeypatch: pytest.MonkeyPatch, request_of: RequestOf
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert request_of({"url": f"{service.url}/echo"})[0] == "Response"
