"""TOML and environment → one frozen Config; secrets stay references until a pack is made.

``file`` makes it, with what ``environment`` says, ``schema`` has the keys, ``checks`` their values;
``parser`` finds every problem at once, and ``references`` knows which secrets are referred to.
"""

from flyte_host.config.checks import parse_listen
from flyte_host.config.environment import ENVIRONMENT
from flyte_host.config.file import load_config, load_embedded, read_store
from flyte_host.config.references import resolve_settings, secret_variables
from flyte_host.config.schema import (
    AuthConfig,
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
    McpConfig,
    PackConfig,
    TracesConfig,
)

__all__ = [
    "ENVIRONMENT",
    "AuthConfig",
    "Config",
    "EmbeddedConfig",
    "FlyteConfig",
    "HealthConfig",
    "HostConfig",
    "McpConfig",
    "PackConfig",
    "TracesConfig",
    "load_config",
    "load_embedded",
    "parse_listen",
    "read_store",
    "resolve_settings",
    "secret_variables",
]
