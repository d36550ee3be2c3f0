"""``flyte-host serve``.

Owns its options. Must not know what a host does.
"""

import logging
import os
import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path

import click

from flyte_host import logs
from flyte_host.cli.common import common_options, words_for_errors
from flyte_host.cli.inputs import read_config
from flyte_host.host.host import Host
from flyte_host.host.host import serve as serve_host
from flyte_host.plugins import discover
from flyte_host.secrets import Scrubber, hide_memory

POSIX_ZONE = re.compile(r"(?:[A-Za-z]{3,}|<[^>]+>)[+-]?\d")
"""``CET-1CEST`` needs no file."""

log = logging.getLogger(__name__)


@click.command()
@common_options
@click.option("--strict", is_flag=True, help="Do not start when a plugin is broken.")
def serve(config_path: Path | None, log_format: str, log_level: str, strict: bool) -> None:
    """Serve all packs until SIGTERM, SIGINT or SIGHUP.

    The first signal drains: no more actions are taken, running ones finish and are delivered,
    within [host] drain_seconds. A second one ends at once; the journal keeps what is open.
    """
    scrubber = Scrubber()
    logs.configure(log_format, log_level, scrubber)
    hide_memory()
    warn_about_time_zone(os.environ)
    with words_for_errors(scrubber):
        config = read_config(config_path)
        serve_host(Host(config, discover(), os.environ, scrubber), strict=strict)


def warn_about_time_zone(environ: Mapping[str, str]) -> None:
    """The C library takes a zone that it does not know for UTC, without a word."""
    zone = environ.get("TZ", "").removeprefix(":")
    if not zone or POSIX_ZONE.match(zone) or Path(zone).is_absolute():
        return
    try:
        zoneinfo.ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        log.warning("TZ=%s is not a known time zone: times are in UTC", zone)
