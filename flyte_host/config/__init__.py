"""TOML and environment → one frozen Config; secrets stay references until a pack is made.

``loading`` knows the file, ``tables`` its keys, ``rules`` their values, ``reading`` how to find
every problem at once, ``secrets`` what no output may show.
"""

from flyte_host.config.loading import (
    ENVIRONMENT,
    load_config,
    load_embedded,
    resolve_settings,
    secret_variables,
)
from flyte_host.config.reading import nearest
from flyte_host.config.rules import parse_listen
from flyte_host.config.tables import (
    AuthConfig,
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
    PackConfig,
)

__all__ = [
    "ENVIRONMENT",
    "AuthConfig",
    "Config",
    "EmbeddedConfig",
    "FlyteConfig",
    "HealthConfig",
    "HostConfig",
    "PackConfig",
    "load_config",
    "load_embedded",
    "nearest",
    "parse_listen",
    "resolve_settings",
    "secret_variables",
]
