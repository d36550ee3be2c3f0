"""Names of packs for the completion of a shell.

Owns where they are found: quickly, without importing a plugin, and silently if nothing is found.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import click

ASK_SECONDS = 1.0
"""How long flyte may take: somebody waits with a finger on the tab key."""


def complete_pack_key(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Packs by their names in the configuration, and plugins that serve without a table there."""
    return _offer(incomplete, lambda: _pack_keys(ctx.params))


def complete_flyte_pack(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Packs by their names in flyte, if it answers."""
    return _offer(incomplete, lambda: _flyte_packs(ctx.params))


def _offer(incomplete: str, find: Callable[[], Iterable[str]]) -> list[str]:
    """Anything printed here would land in the line that somebody is typing."""
    logging.disable()
    try:
        return sorted({name for name in find() if name.startswith(incomplete)})
    except Exception:
        return []


def _pack_keys(given: Mapping[str, Any]) -> list[str]:
    from flyte_host.cli.inputs import read_config  # noqa: PLC0415  not for --help
    from flyte_host.plugins.discovery import discover  # noqa: PLC0415

    packs = read_config(given.get("config_path"), flyte_needed=False).packs
    named = {pack.plugin for pack in packs.values()}
    return [*packs, *(plugin.name for plugin in discover() if plugin.name not in named)]


def _flyte_packs(given: Mapping[str, Any]) -> list[str]:
    from flyte_host.cli.flyte_session import address_of, connect  # noqa: PLC0415  not for --help
    from flyte_host.cli.inputs import read_config  # noqa: PLC0415
    from flyte_host.secrets import Scrubber  # noqa: PLC0415

    url = given.get("url")
    environ = {**os.environ, "FLYTE_API": url} if url else dict(os.environ)
    config = read_config(given.get("config_path"), environ=environ)
    flyte = replace(config.flyte, timeout_seconds=ASK_SECONDS)
    client = connect(replace(config, flyte=flyte), address_of(config), Scrubber())
    with contextlib.closing(client):
        return [pack.name for pack in client.packs()]
