"""``flyte-host packs``: what is installed, and what became of it.

Owns its output.
"""

import json
from pathlib import Path
from typing import Any

import click

from flyte_host import logs
from flyte_host.cli.common import (
    aligned,
    common_options,
    echo,
    echo_json,
    quieter,
    words_for_errors,
)
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.packs import ServedPacks
from flyte_host.plugins import Plugin, Status
from flyte_host.secrets import Scrubber


@click.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def packs(config_path: Path | None, log_format: str, log_level: str, as_json: bool) -> None:
    """List the plugins: loaded, disabled or broken (why), version, pack, commands, events."""
    scrubber = Scrubber()
    logs.configure(log_format, quieter(log_level), scrubber)
    with words_for_errors(scrubber):
        config = read_config(config_path, flyte_needed=False)
        with read_packs(config, scrubber) as served:
            rows = _rows(served)
    if as_json:
        echo_json(scrubber.scrub(json.dumps(rows, indent=2, ensure_ascii=False)))
    else:
        for line in as_table(rows):
            echo(scrubber.scrub(line))


def _rows(served: ServedPacks) -> list[dict[str, Any]]:
    return [_row(plugin, served) for plugin in served.plugins]


def _row(plugin: Plugin, served: ServedPacks) -> dict[str, Any]:
    pack = served.packs.get(plugin.config.pack_key)
    row: dict[str, Any] = {
        "name": plugin.config.pack_key,
        "plugin": plugin.installed.name,
        "status": str(plugin.status),
        "reason": plugin.problem,
        "distribution": plugin.installed.distribution,
        "version": plugin.installed.version,
        "pack": None,
        "commands": [],
        "events": [],
    }
    if pack is not None:
        events = sorted(pack.event_names)
        row |= {"pack": pack.id, "commands": list(pack.commands), "events": events}
    return row


def as_table(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["no plugins are installed: pip install one, its entry point is all it needs"]
    heads = ("NAME", "PLUGIN", "VERSION", "STATUS", "PACK", "COMMANDS", "EVENTS")
    lines = [heads, *(_cells(row) for row in rows)]
    reasons = [
        f"{row['name']} is {row['status']}: {row['reason']}" for row in rows if row["reason"]
    ]
    return [*aligned(lines), *([""] if reasons else []), *reasons]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    is_add_on = row["status"] == Status.LOADED and row["pack"] is None
    return (
        row["name"],
        row["plugin"],
        row["version"] or "-",
        row["status"],
        row["pack"] or ("(add-on)" if is_add_on else "-"),
        str(len(row["commands"])),
        str(len(row["events"])),
    )
