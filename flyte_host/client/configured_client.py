"""A client as the configuration wants it: its token, its certificates, its time limits.

Owns which key becomes which argument. Must not know what the client is for.
"""

import os
from collections.abc import Mapping
from typing import TypeVar

from flyte_host.client import Application, FlyteClient, Outage, Token
from flyte_host.client.bearer_token import BearerToken
from flyte_host.client.issued_token import Credentials, IssuedToken
from flyte_host.clock import Clock
from flyte_host.config import FlyteConfig
from flyte_host.config.schema import OidcConfig
from flyte_host.counters import Counters
from flyte_host.errors import ConfigError
from flyte_host.secrets import Scrubber, SecretMissing

_Client = TypeVar("_Client", bound=FlyteClient)


def make_client(
    kind: type[_Client],
    flyte: FlyteConfig,
    url: str,
    scrubber: Scrubber,
    environ: Mapping[str, str] = os.environ,
    *,
    outage: Outage,
    counters: Counters,
    clock: Clock,
    application: Application | None = None,
) -> _Client:
    """A client as configured, for flyte at ``url``; raises ConfigError."""
    token = make_token(flyte, environ, scrubber, clock)
    return kind(
        url,
        counters=counters,
        clock=clock,
        timeout_seconds=flyte.timeout_seconds,
        token=token,
        ca_file=flyte.ca_file,
        client_cert_file=flyte.client_cert_file,
        client_key_file=flyte.client_key_file,
        verify=flyte.verify,
        application=application,
        outage=outage,
    )


def make_token(
    flyte: FlyteConfig, environ: Mapping[str, str], scrubber: Scrubber, clock: Clock
) -> BearerToken | None:
    """Where flyte's token comes from, as configured; raises ConfigError."""
    try:
        if flyte.oidc is not None:
            return IssuedToken(_credentials(flyte.oidc), environ, clock=clock, scrubber=scrubber)
    except SecretMissing as error:
        raise ConfigError([f"flyte.oidc.client_secret: {error}"]) from error
    try:
        return None if flyte.token is None else Token(flyte.token, environ, scrubber=scrubber)
    except SecretMissing as error:
        raise ConfigError([f"flyte.token: {error}"]) from error


def _credentials(oidc: OidcConfig) -> Credentials:
    return Credentials(
        oidc.client_id,
        oidc.client_secret,
        token_url=oidc.token_url,
        issuer_url=oidc.issuer_url,
        scope=oidc.scope,
        audience=oidc.audience,
        ca_file=oidc.ca_file,
    )
