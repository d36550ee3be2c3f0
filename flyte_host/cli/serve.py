"""``flyte-host serve``.

Owns its options. Must not know what a host does.
"""

import logging
import os
from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options
from flyte_host.cli.inputs import read_config
from flyte_host.cli.time_zone import unknown_zone
from flyte_host.heaps import share_heaps
from flyte_host.host.host import Host
from flyte_host.host.serving import serve_host
from flyte_host.plugins import discover
from flyte_host.secrets import hide_memory

log = logging.getLogger(__name__)


@click.command()
@common_options
@click.option("--strict", is_flag=True, help="Do not start when a plugin is broken.")
def serve(config_path: Path | None, log_format: str, log_level: str, strict: bool) -> None:
    """Serve all packs until SIGTERM, SIGINT or SIGHUP.

    The first signal drains: no more actions are taken, running ones finish and are delivered,
    within [host] drain_seconds. A second one ends at once; the journal keeps what is open.
    """
    share_heaps()
    with command_session(log_format, log_level) as scrubber:
        hide_memory()
        if zone := unknown_zone(os.environ):
            log.warning("TZ=%s is not a known time zone: times are in UTC", zone)
        config = read_config(config_path)
        serve_host(Host(config, discover(), os.environ, scrubber), strict=strict)
