"""Calls to flyte as the configuration wants them: its token, its certificates, its time limits.

Owns which key becomes which argument. Must not know what is asked.
"""

import os
from collections.abc import Mapping

from flyte_host.client.bearer_token import BearerToken
from flyte_host.client.conversation import Conversation
from flyte_host.client.direct_calls import Application
from flyte_host.client.issued_token import Credentials, IssuedToken
from flyte_host.client.outage import Outage
from flyte_host.client.tls_files import TlsFiles
from flyte_host.client.token import Token
from flyte_host.client.transport import Transport
from flyte_host.clock import Clock
from flyte_host.config import FlyteConfig
from flyte_host.config.schema import OidcConfig
from flyte_host.errors import ConfigError
from flyte_host.secrets import Scrubber, SecretMissing


def make_conversation(
    flyte: FlyteConfig,
    url: str,
    scrubber: Scrubber,
    environ: Mapping[str, str] = os.environ,
    *,
    clock: Clock,
    application: Application | None = None,
) -> Conversation:
    """For calls to flyte at ``url``, as configured; raises ConfigError.

    ``application`` is flyte itself, if it is in this process.
    """
    token = make_token(flyte, environ, scrubber, clock)
    tls_files = TlsFiles(
        flyte.ca_file, flyte.client_cert_file, flyte.client_key_file, verify=flyte.verify
    )
    transport = Transport(url, tls_files, token=token, application=application)
    return Conversation(transport, Outage(clock), clock, timeout_seconds=flyte.timeout_seconds)


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
