"""TOML and environment → one frozen Config; secrets stay references until a pack is made.

``loading`` knows the file, ``tables`` its keys, ``rules`` their values, ``reading`` how to find
every problem at once, ``secrets`` what no output may show.
"""

from flyte_host.config.loading import (
    ENVIRONMENT,
    AuthConfig,
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
    PackConfig,
    load_config,
    load_embedded,
    nearest,
    parse_listen,
    resolve_settings,
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
]
