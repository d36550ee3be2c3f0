"""What an operator can set, and where the Go pack's environment steps in.

Owns names, defaults and their checks. Must not know LDAP's protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from flyte_pack_kit import check_more_than_zero, complete, read_variable

_ENVIRONMENT = {
    "url": "LDAP_URL",
    "bind_username": "BIND_USERNAME",
    "bind_password": "BIND_PASSWORD",
    "base_dn": "BASE_DN",
    "search_filter": "SEARCH_FILTER",
    "attributes": "ATTRIBUTES",
    "group_attribute": "GROUP_ATTRIBUTE",
}
_PLACE = "{username}"
_PORTS = {"ldap": 389, "ldaps": 636}


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where the directory is: ``host:port``, ``ldap://…`` or ``ldaps://…``; empty: LDAP_URL."""

    bind_username: str = ""
    """The DN (or in Active Directory the name) that may search; empty: BIND_USERNAME."""

    bind_password: str = field(default="", repr=False)
    """Its password; empty: the variable BIND_PASSWORD."""

    base_dn: str = ""
    """Below which entry to look for users; empty: the variable BASE_DN."""

    search_filter: str = ""
    """Which entry is a user's, with ``{username}`` in it; empty: the variable SEARCH_FILTER."""

    attributes: tuple[str, ...] = ()
    """The attributes that name groups, like memberOf; empty: ATTRIBUTES, separated by commas."""

    group_attribute: str = ""
    """The part of a group's name to return, like cn; empty: the variable GROUP_ATTRIBUTE."""

    security: Literal["none", "starttls"] = "none"
    """``"starttls"`` encrypts an ``ldap://`` connection; ``ldaps://`` always is."""

    verify: bool = True
    """Whether the directory's certificate is checked."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: those of the system."""

    timeout_seconds: float | None = None
    """How long a command may take in all; None: SEARCH_TIMEOUT_IN_SECONDS, else 20."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def completed(self, environ: Mapping[str, str]) -> "LdapSettings":
        """Fill what was not set from the environment; raises ValueError."""
        found = complete(self, _ENVIRONMENT, environ)
        attributes = _words(found.attributes)
        if not attributes:
            raise ValueError(f"attributes: found {found.attributes!r}, expected names")
        if _PLACE not in found.search_filter:
            raise ValueError(
                f"search_filter: found {found.search_filter!r}, expected {_PLACE} in it"
            )
        found = replace(found, attributes=attributes, timeout_seconds=self._seconds(environ))
        found.address()
        return found

    def _seconds(self, environ: Mapping[str, str]) -> float:
        if self.timeout_seconds is not None:
            check_more_than_zero("timeout_seconds", self.timeout_seconds)
            return self.timeout_seconds
        given = read_variable("SEARCH_TIMEOUT_IN_SECONDS", environ) or "20"
        if not (given.isascii() and given.isdigit() and int(given)):
            raise ValueError(
                f"SEARCH_TIMEOUT_IN_SECONDS: found {given!r}, expected a number of seconds above 0"
            )
        return int(given)

    def address(self) -> tuple[str, str, int]:
        """Scheme, host and port of the directory."""
        scheme, _, rest = self.url.rpartition("://")
        scheme = scheme.lower() or "ldap"
        try:
            parts = urlsplit(f"//{rest}")
            host = parts.hostname or ""
            port = _PORTS.get(scheme, 0) if parts.port is None else parts.port
        except ValueError:
            host, port = "", 0
        known = scheme in _PORTS
        if not (known and host and port) or set("/@?#") & set(rest.removesuffix("/")):
            raise ValueError(
                f"url: found {self.url!r}, expected one like 'ldap.example.com:389',"
                " 'ldap://ldap.example.com' or 'ldaps://ldap.example.com'"
            )
        if scheme == "ldaps" and self.security == "starttls":
            raise ValueError(
                "security: found 'starttls', expected 'none', because ldaps:// has TLS"
            )
        return scheme, host, port


def _words(given: tuple[str, ...] | str) -> tuple[str, ...]:
    """The variable is a text."""
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(each.strip() for each in parts if each.strip())
