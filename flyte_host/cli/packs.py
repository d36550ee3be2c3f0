"""``flyte-host packs``: what is installed, and its state.

Owns its output.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from flyte_host.cli.common import command_session, common_options, echo, echo_json, quieter
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.cli.table import print_table
from flyte_host.packs import ServedPacks
from flyte_host.plugins import Plugin, Status
from flyte_host.plugins.contribution import Contribution
from flyte_host.secrets import Scrubber

HEADS = ("NAME", "PLUGIN", "VERSION", "STATUS", "PACK", "COMMANDS", "EVENTS")
WRAPPED = ("NAME", "PLUGIN", "PACK", "COMMANDS", "EVENTS")


@click.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def packs(config_path: Path | None, log_format: str, log_level: str, as_json: bool) -> None:
    """List the plugins, their state and what they offer.

    Each has its version, pack, commands and events; below the table is why one is not served. What
    an add-on gave to a pack is marked with the add-on's name. With --json, the JSON Schemas of
    settings and of the inputs of commands too.
    """
    with command_session(log_format, quieter(log_level)) as scrubber:
        config = read_config(config_path, flyte_needed=False)
        with read_packs(config, scrubber) as served:
            rows = [_row(plugin, served) for plugin in served.plugins]
    if as_json:
        document = msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()
        echo_json(scrubber.scrub(document))
    else:
        print_rows(rows, scrubber)


def _row(plugin: Plugin, served: ServedPacks) -> dict[str, Any]:
    """``given`` has the commands and events of the plugin's pack by the plugin that gave them.

    ``adds`` is what an add-on gave, by pack. Packs and plugins go by their pack keys.
    """
    pack_key = plugin.config.pack_key
    row: dict[str, Any] = {
        "name": pack_key,
        "plugin": plugin.installed.name,
        "status": str(plugin.status),
        "reason": plugin.problem,
        "distribution": plugin.installed.distribution,
        "version": plugin.installed.version,
        "pack": None,
        "commands": [],
        "events": [],
        "given": {},
        "adds": {
            other: _names(each)
            for other, pack in served.packs.items()
            for each in pack.contributions
            if other != pack_key == each.plugin.config.pack_key
        },
        "settings_schema": plugin.settings_schema,
        "input_schemas": {},
    }
    pack = served.packs.get(pack_key)
    if pack is not None:
        row |= {
            "pack": pack.id,
            "commands": list(pack.commands),
            "events": sorted(pack.event_names),
            "given": {each.plugin.config.pack_key: _names(each) for each in pack.contributions},
            "input_schemas": {name: each.input_schema for name, each in pack.commands.items()},
        }
    return row


def _names(given: Contribution) -> dict[str, list[str]]:
    commands = [each.command.name for each in given.commands]
    return {"commands": commands, "events": given.event_names}


def print_rows(rows: Sequence[Mapping[str, Any]], scrubber: Scrubber) -> None:
    """The rows as a table, then the reasons of those that are not served."""
    if not rows:
        echo("no plugins are installed: pip install one, its entry point is all it needs")
        return
    cells = [tuple(scrubber.scrub(cell) for cell in _cells(row)) for row in rows]
    print_table(HEADS, cells, wrapped=WRAPPED)
    reasons = [
        f"{row['name']} is {row['status']}: {row['reason']}" for row in rows if row["reason"]
    ]
    for line in ["", *reasons] if reasons else ():
        echo(scrubber.scrub(line))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    is_add_on = row["status"] == Status.LOADED and row["pack"] is None
    return (
        row["name"],
        row["plugin"],
        row["version"] or "-",
        row["status"],
        _add_on_to(row["adds"]) if is_add_on else row["pack"] or "-",
        _given(row, "commands"),
        _given(row, "events"),
    )


def _add_on_to(adds: Mapping[str, Any]) -> str:
    useful = [pack for pack, names in adds.items() if names["commands"] or names["events"]]
    return f"(add-on to {', '.join(useful)})" if useful else "(add-on)"


def _given(row: Mapping[str, Any], what: str) -> str:
    """The names of a row's commands or events, with the add-on if that is not the row's plugin."""
    own = row["name"]
    first: dict[str, str] = {}
    for giver, names in row["given"].items():
        for name in names[what]:
            first.setdefault(name, giver)
    words = [name if giver == own else f"{name} (by {giver})" for name, giver in first.items()]
    return _listed(words or dict.fromkeys(
        name for names in row["adds"].values() for name in names[what]
    ))  # fmt: skip


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"
