"""Which addresses a flow may call, and connections to those only.

Owns what is public. A name is resolved once, its addresses are checked, and the connection goes
to one of them: no second answer of the DNS can lead elsewhere.
"""

import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, cast

from flyte_pack_kit import TimeLimit
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

_ENDS_WITH_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""NAT64, and what is left of IPv4-compatible addresses."""
_LOCAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("168.63.129.16/32"),  # Azure's address for its machines' own metadata
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("fec0::/10"),
)
"""Not public, whatever the version of Python says."""


class AddressRefused(OSError):
    """A name leads only to addresses that may not be called; the text says which."""


class GuardedAdapter(HTTPAdapter):
    """Carries one request, over its own connections to allowed addresses.

    urllib3 asks a connection class to make its socket; that is the place to look at the address.
    """

    def __init__(self, allowed: Networks, limit: TimeLimit) -> None:
        self._allowed = allowed
        self._limit = limit
        self._copies: list[socket.socket] = []
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._open)

    def close(self) -> None:
        super().close()
        for each in self._copies:
            each.close()

    def _open(self, host: str, port: int, timeout_seconds: float) -> socket.socket:
        connection = connect(host, port, timeout_seconds, self._allowed)
        copy = connection.dup()  # TLS takes the socket over
        self._copies.append(copy)
        self._limit.covers(lambda: copy)
        return connection


def _pools(open_socket: Any) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return cast("socket.socket", open_socket(self._dns_host, self.port, self.timeout))

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return cast("socket.socket", open_socket(self._dns_host, self.port, self.timeout))

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def connect(host: str, port: int, timeout_seconds: float, allowed: Networks) -> socket.socket:
    """A connection to the first allowed address of ``host`` that answers; raises OSError."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    told = list(dict.fromkeys(str(each[4][0]) for each in found))
    reachable = [each for each in found if is_allowed(str(each[4][0]), allowed)]
    if not reachable:
        raise AddressRefused(
            f"{host} is {', '.join(told)}, which is not public; to allow it, add its network to"
            " allowed_networks"
        )
    problem: OSError | None = None
    for family, kind, protocol, _, address in reachable:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout_seconds)
            connection.connect(address)
        except OSError as cause:
            problem = cause
            connection.close()
        else:
            return connection
    assert problem is not None  # noqa: S101  there was an address, and none returned
    raise problem


def is_allowed(text: str, allowed: Networks) -> bool:
    """Whether the address is public, or in one of the networks ``allowed``.

    An IPv6 address that stands for an IPv4 address is what that one is.
    """
    address = ip_address(text.partition("%")[0])
    meant = [address, *_embedded(address)]
    if any(each in network for each in meant for network in allowed):
        return True
    return all(_is_public(each) for each in meant)


def _is_public(address: Address) -> bool:
    if any(_embedded(address)):
        return True  # decided by the address in it
    if address.is_multicast or address.is_reserved or any(address in each for each in _LOCAL):
        return False
    return address.is_global


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses to which packets for this one may go in the end."""
    if not isinstance(address, IPv6Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    elif address.sixtofour:
        yield address.sixtofour
    elif address.teredo:
        yield from address.teredo
    elif any(address in each for each in _ENDS_WITH_IPV4):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
