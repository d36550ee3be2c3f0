"""The way to the directory, within one time limit.

Owns connections. No username becomes a part of the filter. Must not know flyte. Each
question has its own connection, so that none closes another's.
"""

import contextlib
import math
import socket
import warnings
from collections.abc import Iterator
from typing import Any

from flyte_pack_kit import ServerWords, TimeLimit, make_tls_context

from flyte_pack_ldap.settings import LdapSettings

with warnings.catch_warnings():
    # ldap3 asks pyasn1 for names that have newer ones.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException, LDAPOperationResult
    from ldap3.utils.conv import escape_filter_chars

MOST_ANSWER_BYTES = 2_000_000
"""Of all answers on a connection: ldap3 collects whatever comes, and decodes it in Python."""


class DirectoryFailed(Exception):
    """The directory gave no answer; the text is what the failure event says."""


class _OwnTls(ldap3.Tls):
    """TLS by the standard library: ldap3 has its own check of host names, which ignores IPs."""

    def __init__(self, settings: LdapSettings, host: str) -> None:
        super().__init__()
        self._settings = settings
        self._host = host

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        context = make_tls_context(self._settings.ca_file, verify=self._settings.verify)
        plain = connection.socket
        plain = plain.inner if isinstance(plain, _BoundedSocket) else plain
        secured = context.wrap_socket(
            plain, do_handshake_on_connect=do_handshake, server_hostname=self._host
        )
        connection.socket = _BoundedSocket(secured)


class _BoundedSocket:
    """A socket from which no more than ``MOST_ANSWER_BYTES`` are read."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner
        self._left = MOST_ANSWER_BYTES

    def recv(self, size: int) -> bytes:
        content = self.inner.recv(size)
        self._left -= len(content)
        if self._left < 0:
            raise OSError(f"the answers have more than {MOST_ANSWER_BYTES} bytes")
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LdapDirectory:
    """Looks up users; ``settings`` are completed."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._words = ServerWords(settings.bind_password)

    def entries(self, username: str) -> list[list[str]]:
        """The values of the wanted attributes in each entry of this user."""
        settings = self._settings
        wanted = settings.search_filter.replace("{username}", escape_filter_chars(username))
        with self._bound(_seconds(settings)) as connection, self._named("LDAP group error"):
            connection.search(
                settings.base_dn,
                wanted,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=list(settings.attributes),
                time_limit=math.ceil(_seconds(settings)),
            )
            _check_result(connection, "searchResDone")
            found = connection.response or []
            entries = [each for each in found if each["type"] == "searchResEntry"]
            return [self._values(each["raw_attributes"]) for each in entries]

    def probe(self, limit_seconds: float) -> None:
        """Log in and read the base; raises DirectoryFailed."""
        limit_seconds = min(limit_seconds, _seconds(self._settings))
        with self._bound(limit_seconds) as connection, self._named(self._settings.base_dn):
            connection.search(self._settings.base_dn, "(objectClass=*)", ldap3.BASE)
            _check_result(connection, "searchResDone")

    def _values(self, attributes: dict[str, list[bytes]]) -> list[str]:
        folded = {name.casefold(): values for name, values in attributes.items()}
        return [
            value.decode(errors="replace")
            for name in self._settings.attributes
            for value in folded.get(name.casefold(), [])
        ]

    @contextlib.contextmanager
    def _bound(self, limit_seconds: float) -> Iterator[ldap3.Connection]:
        connection = self._connection(limit_seconds)
        with TimeLimit(limit_seconds) as limit:
            limit.covers(lambda: connection.socket)
            try:
                with self._named("Cannot connect to LDAP"):
                    connection.open(read_server_info=False)
                    if not isinstance(connection.socket, _BoundedSocket):
                        connection.socket = _BoundedSocket(connection.socket)
                    if self._settings.security == "starttls":
                        connection.start_tls(read_server_info=False)
                with self._named("Cannot bind to LDAP"):
                    connection.bind(read_server_info=False)
                    _check_result(connection, "bindResponse")
                yield connection
            except DirectoryFailed as cause:
                if not limit.is_over:
                    raise
                told = f"{cause}, no end after {limit_seconds:g} s (timeout_seconds)"
                raise DirectoryFailed(told) from cause
            finally:
                _close(connection)

    @contextlib.contextmanager
    def _named(self, step: str) -> Iterator[None]:
        """Say which step failed."""
        try:
            yield
        except LDAPOperationResult as cause:
            told = f"{cause.description} {cause.message or ''}".strip()
            raise DirectoryFailed(f"{step}: {self._words.show(told)}") from cause
        except Exception as cause:
            told = f"{type(cause).__name__}: {cause}"
            if not isinstance(cause, LDAPException | OSError | UnicodeEncodeError):
                # ldap3 reads whatever comes as if it were LDAP, so that any kind may be raised.
                told = f"the answer is not LDAP: {told}"
            raise DirectoryFailed(f"{step}: {self._words.show(told)}") from cause

    def _connection(self, limit_seconds: float) -> ldap3.Connection:
        settings = self._settings
        scheme, host, port = settings.address()
        server = ldap3.Server(
            host,
            port,
            use_ssl=scheme == "ldaps",
            get_info=ldap3.NONE,
            tls=_OwnTls(settings, host),
            connect_timeout=limit_seconds,
        )
        return ldap3.Connection(
            server,
            settings.bind_username,
            settings.bind_password,
            authentication=ldap3.SIMPLE,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            raise_exceptions=True,
            receive_timeout=math.ceil(limit_seconds),  # ldap3 takes whole seconds alone
        )


def _check_result(connection: ldap3.Connection, expected: str) -> None:
    """Refuse what ldap3 takes for success: a referral, a part of the entries, another answer."""
    result = connection.result
    if result["type"] != expected:
        raise ValueError(f"found a {result['type']}, expected a {expected}")
    if result["result"] != 0:
        raise LDAPOperationResult(
            result["result"], result["description"], result["dn"], result["message"]
        )


def _close(connection: ldap3.Connection) -> None:
    """Close the socket too: ldap3 leaves it open if it cannot unbind."""
    open_socket: socket.socket | None = connection.socket
    with contextlib.suppress(Exception):
        connection.unbind()
    if open_socket is not None:
        open_socket.close()


def _seconds(settings: LdapSettings) -> float:
    return settings.timeout_seconds or 0
