"""Decides which requests pass: none that a page of another site made a browser send.

Pure: decides by a few headers and knows no web server. It guards against two attacks. A page
of another site sends requests here; browsers then say so in ``Origin`` or ``Sec-Fetch-Site``. Or
such a page has its own name resolve to this machine (DNS rebinding), and the browser takes both for
one site; then ``Host`` is a name that is not ours. Programs that are not browsers send neither
``Origin`` nor ``Sec-Fetch-Site``, and pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flyte_host.origin import Origin, address_of, is_loopback, normal_host, read_host
from flyte_host.text import quoted

OUR_SITES = ("same-origin", "none")
"""``none``: somebody typed the address or chose a bookmark."""


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Where a request says it comes from and goes to; None: it has no such header."""

    scheme: str
    version: str
    host: str | None
    origin: str | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status of the answer and a sentence that says what came and what was expected."""

    status: int
    sentence: str


class Gate:
    """Decides for one server.

    ``listen_host`` is the host it listens on, ``hosts`` are further names of it, and ``hosts_key``
    is where people set these, if they can. Without ``check_origin`` only ``Host`` is checked.
    """

    def __init__(
        self,
        listen_host: str,
        hosts: Sequence[str] = (),
        *,
        hosts_key: str = "",
        check_origin: bool = True,
    ) -> None:
        self._names = {normal_host(each) for each in (listen_host, *hosts)}
        self._check_origin = check_origin
        listen = address_of(listen_host)
        # An address cannot be rebound. So any address will do if the server listens on all of them,
        # or on a name.
        self._any_address = not is_loopback(listen_host) and (
            listen is None or listen.is_unspecified
        )
        addresses = "an IP address" if self._any_address else "a loopback address"
        add = f"; if it is a name of this server, add it to {hosts_key}" if hosts_key else ""
        self._expected_host = f"localhost, {addresses} or a configured name{add}"

    def refusal(self, source: RequestSource) -> Refusal | None:
        """Why this request may not pass, or None if it may."""
        return self._refuse_host(source) or (
            self._refuse_origin(source) if self._check_origin else None
        )

    def _refuse_host(self, source: RequestSource) -> Refusal | None:
        if source.host is None:
            return _refuse_missing_host(source)
        found = read_host(source.host)
        if found is not None and self._is_ours(found[0]):
            return None
        return Refusal(421, f"found the Host {quoted(source.host)}, expected {self._expected_host}")

    def _is_ours(self, host: str) -> bool:
        if host in self._names or is_loopback(host):
            return True
        return self._any_address and address_of(host) is not None

    def _refuse_origin(self, source: RequestSource) -> Refusal | None:
        if source.site is not None and source.site not in OUR_SITES:
            return _refuse_page("Sec-Fetch-Site", source.site, "same-origin, none or no header")
        if source.origin is None:
            return None
        ours = Origin.of_host(source.scheme, source.host or "")
        if ours is not None and Origin.read(source.origin) == ours:
            return None
        expected = f"{source.scheme}://{source.host}"
        return _refuse_page("Origin", source.origin, f"{quoted(expected)} or no header")


def _refuse_missing_host(source: RequestSource) -> Refusal | None:
    """Browsers always send a Host, and HTTP/1.1 requires it; old probes in HTTP/1.0 have none."""
    if source.version == "HTTP/1.0":
        return None
    return Refusal(400, f"found no Host header, expected one with {quoted(source.version)}")


def _refuse_page(header: str, value: str, expected: str) -> Refusal:
    return Refusal(
        403,
        f"found the {header} {quoted(value)}, expected {expected}: "
        "pages of other sites may not send requests to this server",
    )
