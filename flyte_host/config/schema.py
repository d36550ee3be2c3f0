"""The tables of the configuration: every key with its default, its rule and its meaning.

Owns the declarations; reading, the words of a problem and the reference all come from them. Must
not know how a file is read or what the environment says; that is ``file``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from flyte_host.config import checks
from flyte_host.config.parser import KeyCheck
from flyte_host.secrets import SecretRef

A_DAY = 86_400
CLIENT_SECRET = SecretRef(env="FLYTE_CLIENT_SECRET")
HostNames = Annotated[
    tuple[Annotated[str, KeyCheck(checks.host_name)], ...],
    Meta(
        description="further host names under which it is called, as in the `Host` header; "
        "`localhost`, loopback addresses and the host of `listen` always may be used"
    ),
]
"""Further names of a server, besides those that it always answers to."""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """flyte's token from an issuer: the client credentials of OAuth 2, renewed before they end."""

    client_id: Annotated[
        str,
        Meta(min_length=1, description="the host's client id at the issuer; required"),
    ] = ""
    client_secret: Annotated[
        SecretRef,
        KeyCheck(checks.secret_ref, words="secret reference"),
        Meta(description="its password there; a file is read again for every token"),
    ] = CLIENT_SECRET
    issuer_url: Annotated[
        str | None,
        KeyCheck(checks.issuer_url, words="URL"),
        Meta(
            description="OpenID Connect issuer; its discovery document says where tokens come from"
        ),
    ] = None
    token_url: Annotated[
        str | None,
        KeyCheck(checks.issuer_url, words="URL"),
        Meta(description="where tokens come from; this or `issuer_url`"),
    ] = None
    scope: Annotated[
        str,
        Meta(description="scopes to ask for, with spaces between them"),
    ] = ""
    audience: Annotated[
        str,
        Meta(description="the audience to request, if the issuer needs one"),
    ] = ""
    ca_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(description="CA certificates to trust for the issuer, instead of the usual ones"),
    ] = None


@dataclass(frozen=True, slots=True)
class FlyteConfig:
    """The flyte that is served; without ``url`` it is the embedded one."""

    url: Annotated[
        str | None,
        KeyCheck(checks.base_url, words="URL"),
        Meta(description="flyte's address; this or the table `[flyte.embedded]`"),
    ] = None
    timeout_seconds: Annotated[
        float,
        Meta(ge=0, le=A_DAY, description="how long a call to flyte may take; 0: no limit"),
    ] = 10
    token: Annotated[
        SecretRef | None,
        KeyCheck(checks.secret_ref, words="secret reference"),
        Meta(description="sent to flyte as Bearer token; a file is read again when it changes"),
    ] = None
    ca_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(
            description="CA certificates to trust for flyte, instead of the usual ones; "
            "read again when it changes"
        ),
    ] = None
    client_cert_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(
            description="certificate to show to flyte; goes with `client_key_file`; both are read "
            "again when they change"
        ),
    ] = None
    client_key_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(description="its key"),
    ] = None
    verify: Annotated[
        bool,
        Meta(description="false: accept any certificate; the host warns about it"),
    ] = True
    oidc: OidcConfig | None = None


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """Who may call the embedded flyte: a policy, and the keys of the signers of tokens."""

    policy: Annotated[
        Path,
        KeyCheck(checks.readable),
        Meta(description="YAML list of rules: path, methods, claims"),
    ] = Path("policy.yaml")
    audience: Annotated[
        str,
        Meta(min_length=1, description="the audience (`aud`) that tokens must name; required"),
    ] = ""
    jwks_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(description="JSON Web Key Set with public keys; read again when it changes"),
    ] = None
    issuer_url: Annotated[
        str | None,
        KeyCheck(checks.issuer_url, words="URL"),
        Meta(description="OpenID Connect issuer that has the keys; this or `jwks_file`"),
    ] = None
    issuer_ca_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(description="CA certificates to trust for the issuer, instead of the usual ones"),
    ] = None


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """A flyte in the process of the host: for trying out, tests and small setups."""

    listen: Annotated[
        str,
        KeyCheck(checks.listen, words="host:port"),
        Meta(description="where its API listens; port 0 takes any free one"),
    ] = "127.0.0.1:8080"
    store: Annotated[
        str | Path | None,
        KeyCheck(checks.store, words='path, URL or `":memory:"`'),
        Meta(
            description="SQLite file of its data, or `postgresql://user@host/database`, which "
            'several flytes may share; `":memory:"` keeps nothing'
        ),
    ] = Path("flyte.db")
    flows: Annotated[
        tuple[Annotated[str, KeyCheck(checks.pattern), Meta(min_length=1)], ...],
        Meta(description="glob patterns of the flows that it runs"),
    ] = ()
    allow_everyone: Annotated[
        bool,
        Meta(description="true: listen beyond loopback without `[flyte.embedded.auth]`"),
    ] = False
    auth: AuthConfig | None = None
    hosts: HostNames = ()
    ttl_days: Annotated[
        float,
        Meta(gt=0, le=100_000, description="how long an execution is kept after its last change"),
    ] = 366
    store_password: Annotated[
        SecretRef | None,
        KeyCheck(checks.secret_ref, words="secret reference"),
        Meta(description="the password of a PostgreSQL store; a file is read at each connection"),
    ] = None


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The host itself."""

    state: Annotated[
        Path,
        Meta(description="the journal: what was taken from flyte and is not delivered yet"),
    ] = Path("flyte-host.db")
    poll_interval_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=A_DAY,
            description="the longest pause between two polls of an idle pack; at least a minute "
            "if flyte announces each action, and then, unless flyte is embedded, between two polls "
            "of all idle packs together",
        ),
    ] = 5
    max_concurrent: Annotated[int, Meta(ge=1, description="actions of one pack at once")] = 16
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0, le=A_DAY, description="how long a stop waits for running actions and deliveries"
        ),
    ] = 25


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """The pages that say how the host and its packs are."""

    listen: Annotated[
        str,
        KeyCheck(checks.listen, words="host:port"),
        Meta(description="where they listen; port 0 takes any free one"),
    ] = "127.0.0.1:8090"
    hosts: Annotated[
        tuple[Annotated[str, KeyCheck(checks.host_name)], ...],
        Meta(
            description="further host names under which they are called, as in the `Host` header; "
            "`localhost`, loopback addresses and the host of `listen` always may be used"
        ),
    ] = ()


@dataclass(frozen=True, slots=True)
class McpConfig:
    """Commands as tools of the Model Context Protocol, by `flyte-host mcp`."""

    allow: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description='the commands that may be called: `"Jira.IssueInfo"`, or all of a pack by '
            '`"Jira.*"`; nothing else is offered'
        ),
    ] = ()
    state: Annotated[
        Path,
        Meta(description="its journal, which no host may use at the same time"),
    ] = Path("flyte-host-mcp.db")
    listen: Annotated[
        str,
        KeyCheck(checks.listen, words="host:port"),
        Meta(description="where `--http` listens; beyond loopback only with `token`"),
    ] = "127.0.0.1:8091"
    hosts: HostNames = ()
    token: Annotated[
        SecretRef | None,
        KeyCheck(checks.secret_ref, words="secret reference"),
        Meta(description="what callers of `--http` have to send as Bearer token"),
    ] = None


@dataclass(frozen=True, slots=True)
class TracesConfig:
    """Spans of actions and events, sent to a collector of OpenTelemetry: needs the extra `otel`."""

    url: Annotated[
        str,
        KeyCheck(checks.collector_url, words="URL"),
        Meta(
            min_length=1,
            description="where a collector takes OTLP over HTTP, such as `http://localhost:4318`; "
            "needed",
        ),
    ] = ""
    headers: Annotated[
        Mapping[
            Annotated[str, KeyCheck(checks.header_name)],
            Annotated[SecretRef, KeyCheck(checks.secret_ref, words="secret reference")],
        ],
        Meta(description="headers of each of these requests, each a secret reference"),
    ] = field(default_factory=dict)
    ca_file: Annotated[
        Path | None,
        KeyCheck(checks.readable),
        Meta(description="CA certificates to trust for the collector, instead of the usual ones"),
    ] = None
    service: Annotated[
        str,
        Meta(min_length=1, description="the name of this host in traces: `service.name`"),
    ] = "flyte-host"
    sample_ratio: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="the share of the traces beginning here that are recorded; others are "
            "recorded if their callers record them",
        ),
    ] = 1


@dataclass(frozen=True, slots=True)
class PackConfig:
    """One pack; ``settings`` are as written, references to secrets unresolved."""

    pack_key: str
    plugin: Annotated[
        str,
        Meta(min_length=1, description="the plugin to use; without it, the table's own name"),
    ] = ""
    enabled: Annotated[bool, Meta(description="false: do not serve the pack")] = True
    name: Annotated[
        str | None,
        KeyCheck(checks.addressable),
        Meta(min_length=1, description="the pack's name in flyte, instead of the plugin's"),
    ] = None
    labels: Annotated[
        Mapping[
            Annotated[str, KeyCheck(checks.addressable), Meta(min_length=1)],
            Annotated[str, KeyCheck(checks.addressable)],
        ],
        Meta(
            description="merged over the plugin's; name and labels are the pack's identity in flyte"
        ),
    ] = field(default_factory=dict)
    max_concurrent: Annotated[
        int | None,
        Meta(ge=1, description="actions of this pack at once, instead of `host.max_concurrent`"),
    ] = None
    isolation: Annotated[
        str | None,
        KeyCheck(checks.isolation, words='`"process"`'),
        Meta(description='`"process"`: run the plugin in its own process'),
    ] = None
    memory_limit_mb: Annotated[
        int | None,
        Meta(
            ge=64,
            description="how much memory that process may have for itself; with `isolation` only",
        ),
    ] = None
    settings: Annotated[
        Mapping[str, Any],
        KeyCheck(checks.settings),
        Meta(description="what the plugin itself reads; its own documentation has the keys"),
    ] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plugin", self.plugin or self.pack_key)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, with absolute paths. ``labels`` are those of FLYTE_LABELS."""

    flyte: FlyteConfig
    embedded: EmbeddedConfig | None = None
    host: HostConfig = HostConfig()
    health: HealthConfig = HealthConfig()
    mcp: McpConfig = McpConfig()
    traces: TracesConfig | None = None
    packs: Mapping[str, PackConfig] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


TABLES: Mapping[str, type] = {
    "flyte": FlyteConfig,
    "flyte.embedded": EmbeddedConfig,
    "flyte.embedded.auth": AuthConfig,
    "host": HostConfig,
    "health": HealthConfig,
    "mcp": McpConfig,
    "traces": TracesConfig,
    "packs.NAME": PackConfig,
}
"""The tables of a file and what each becomes."""
