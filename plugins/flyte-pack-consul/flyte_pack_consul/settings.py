"""What an operator can set, and where the environment of Consul's own tools steps in.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flyte_pack_kit import (
    RestTarget,
    check_both_or_none,
    check_more_than_zero,
    check_url,
    complete,
    read_variable,
)

_ENVIRONMENT = {
    "url": "CONSUL_HTTP_ADDR",
    "token": "CONSUL_HTTP_TOKEN",
    "namespace": "CONSUL_NAMESPACE",
    "ca_file": "CONSUL_CACERT",
    "client_certificate": "CONSUL_CLIENT_CERT",
    "client_key": "CONSUL_CLIENT_KEY",
}
_TRUE = {"1", "t", "true"}
_FALSE = {"0", "f", "false"}


@dataclass(frozen=True, slots=True)
class ConsulSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where the agent is; empty: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500."""

    token: str = field(default="", repr=False)
    """The ACL token; empty: CONSUL_HTTP_TOKEN, else what CONSUL_HTTP_TOKEN_FILE names."""

    user: str = ""
    """Who the pack is, if the agent is behind basic authentication; empty: CONSUL_HTTP_AUTH."""

    password: str = field(default="", repr=False)
    """The user's password."""

    namespace: str = ""
    """Consul Enterprise's namespace; empty: CONSUL_NAMESPACE."""

    timeout_seconds: float = 10
    """How long the agent may take to accept a connection, and then for the whole answer."""

    verify: bool | None = None
    """Whether the certificate is checked; None: CONSUL_HTTP_SSL_VERIFY, else yes."""

    ca_file: str = ""
    """PEM file of the authorities to trust; empty: CONSUL_CACERT, else the public ones."""

    client_certificate: str = ""
    """PEM file of the pack's own certificate; empty: CONSUL_CLIENT_CERT."""

    client_key: str = ""
    """PEM file of its key; empty: CONSUL_CLIENT_KEY."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)

    def completed(self, environ: Mapping[str, str]) -> "ConsulSettings":
        """Fill what was not set from the environment; raises ValueError."""
        found = complete(self, _ENVIRONMENT, environ, frozenset(_ENVIRONMENT))
        user, password = self.user, self.password
        if not user:
            user, _, password = read_variable("CONSUL_HTTP_AUTH", environ).partition(":")
        verify = self.verify
        if verify is None:
            verify = _flag("CONSUL_HTTP_SSL_VERIFY", environ, default=True)
        found = replace(
            found,
            url=_url(found.url, environ),
            token=found.token or _token(environ),
            user=user,
            password=password,
            verify=verify,
        )
        check_both_or_none(found, "client_certificate", "client_key")
        return found

    def target(self) -> RestTarget:
        """How to talk to the agent."""
        certificate = (self.client_certificate, self.client_key)
        return RestTarget(
            self.url,
            "v1",
            self.user,
            self.password,
            {"X-Consul-Token": self.token} if self.token else {},
            self.timeout_seconds,
            verify=self.verify is not False,
            ca_file=self.ca_file or None,
            client_certificate=certificate if self.client_certificate else None,
        )


def _url(given: str, environ: Mapping[str, str]) -> str:
    url = given or "127.0.0.1:8500"
    if "://" not in url:
        url = f"http{'s' * _flag('CONSUL_HTTP_SSL', environ, default=False)}://{url}"
    check_url(url, "https://consul.example.com:8501")
    return url


def _token(environ: Mapping[str, str]) -> str:
    file = read_variable("CONSUL_HTTP_TOKEN_FILE", environ)
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeError) as cause:
        raise ValueError(f"token: cannot read CONSUL_HTTP_TOKEN_FILE: {cause}") from cause


def _flag(variable: str, environ: Mapping[str, str], *, default: bool) -> bool:
    given = read_variable(variable, environ)
    if given and given.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{variable}: found {given!r}, expected 'true' or 'false'")
    return given.lower() in _TRUE if given else default
