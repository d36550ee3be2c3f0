"""Where a request says it was sent to and comes from: host names, addresses, origins.

Owns what counts as this machine. Pure: knows texts of headers and URLs, no web server.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self
from urllib.parse import urlsplit

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
SCHEMES = frozenset(_DEFAULT_PORTS)

HOSTS_KEPT = 64
"""Clients call a server by a few names, and each request has one."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what browsers call an origin."""

    scheme: str
    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The origin in ``scheme://host:port``, or None if it is not one of HTTP."""
        scheme, _, host = text.partition("://")
        return cls.of_host(scheme.lower(), host)

    @classmethod
    def of_host(cls, scheme: str, host_header: str) -> Self | None:
        """The origin of a page that was asked for with this ``Host``."""
        found = read_host(host_header)
        if found is None or scheme not in _DEFAULT_PORTS:
            return None
        host, port = found
        return cls(scheme, host, _DEFAULT_PORTS[scheme] if port is None else port)


def read_host(text: str) -> tuple[str, int | None] | None:
    """Host and port of ``host``, ``host:port``, ``[::1]`` or ``[::1]:port``; else None.

    A host is lower case, without brackets and without a dot at its end.
    """
    match = _HOST.fullmatch(text)
    if match is None or (match[1] and (":" not in match[1] or address_of(match[1]) is None)):
        return None
    port = None if match[3] is None else int(match[3])
    return normal_host(match[1] or match[2]), port


def normal_host(host: str) -> str:
    """One spelling of a host name or address; addresses lose their brackets."""
    name = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    address = address_of(name)
    return name if address is None else str(address)


@lru_cache(HOSTS_KEPT)
def address_of(host: str) -> Address | None:
    """The IP address that ``host`` spells out, or None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine alone; of names, only localhost is known to be."""
    address = address_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_secure(url: str) -> bool:
    """Whether nobody on the way can change what comes from ``url``."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def first_of_list(header: str | None) -> str:
    """The first value in a header to which each proxy adds its own: the client's value."""
    return (header or "").partition(",")[0].strip()
