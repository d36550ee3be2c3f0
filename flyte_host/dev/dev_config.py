"""The configuration of a project → that of a host for its author.

Owns the differences from a host that serves: flyte is always embedded and only for this host, and
everything it keeps is gone at the end.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from flyte_host.config import Config, EmbeddedConfig, HealthConfig, load_config, parse_listen
from flyte_host.dev.dev_options import DevOptions
from flyte_host.origin import is_loopback

FLOWS = "flows/*.yaml"
LONGEST_DRAIN_SECONDS = 2.0
"""How long a change waits for handlers that still run."""
FLYTE_VARIABLES = ("FLYTE_API", "FLYTE_API_URL", "FLYTE_API_TIMEOUT", "FLYTE_JWT")

log = logging.getLogger(__name__)


def read_dev_config(options: DevOptions, environ: Mapping[str, str]) -> Config:
    """Raises ConfigError."""
    environ = {name: value for name, value in environ.items() if name not in FLYTE_VARIABLES}
    config = load_config(options.config_file, environ, flyte_needed=False)
    if config.flyte.url is not None:
        log.info("flyte.url is not used: dev runs its own flyte")
    return replace(
        config,
        flyte=replace(config.flyte, url=None, token=None),
        embedded=_embedded(options, config.embedded),
        host=replace(
            config.host,
            state=options.state / "flyte-host.db",
            drain_seconds=min(config.host.drain_seconds, LONGEST_DRAIN_SECONDS),
        ),
        health=HealthConfig(listen="127.0.0.1:0"),
    )


def _embedded(options: DevOptions, found: EmbeddedConfig | None) -> EmbeddedConfig:
    """Without auth, so for this machine alone."""
    of_file = found or EmbeddedConfig(flows=_default_flows(options.path))
    listen = options.listen or of_file.listen
    if not is_loopback(parse_listen(listen)[0]):
        listen = EmbeddedConfig().listen
    return replace(
        of_file,
        listen=listen,
        store=options.state / "flyte.db",
        auth=None,
        allow_everyone=False,
    )


def _default_flows(path: Path) -> tuple[str, ...]:
    """The usual folder's flows, if any: a pattern without a match would be a problem."""
    return (str(path / FLOWS),) if any(path.glob(FLOWS)) else ()
