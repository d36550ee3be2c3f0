"""The command line: words and exit codes.

Owns what people type and read. Every command calls the layers below for what it does.
"""

import json
import os
import threading
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
    read_config,
    read_json_argument,
    read_packs,
    warn_about_time_zone,
    words_for_errors,
)
from flyte_host.cli.ctl import ctl
from flyte_host.cli.event import event
from flyte_host.cli.executions import executions
from flyte_host.cli.flows import flows
from flyte_host.cli.flyte import flyte
from flyte_host.cli.help_texts import restore_help
from flyte_host.cli.journal import journal
from flyte_host.cli.running import run_and_print
from flyte_host.cli.streams import (
    check_arguments,
    open_standard_streams,
    report_full_output,
)
from flyte_host.client import FlyteClient, Outage
from flyte_host.clock import Clock
from flyte_host.config import Config
from flyte_host.counters import Counters
from flyte_host.errors import FlyteError, FlyteHostError, PluginError
from flyte_host.host import Host, serve
from flyte_host.host.embedded_server import check_embedded
from flyte_host.host.shutdown import end
from flyte_host.packs import ServedPack, ServedPacks
from flyte_host.pipeline.parts import make_client
from flyte_host.plugins import Plugin, Status, discover
from flyte_host.secrets import Scrubber, hide_memory


class _Main(click.Group):
    """Ends with its exit code even if a plugin started threads that Python would wait for."""

    def main(self, *args: Any, **more: Any) -> Any:
        open_standard_streams()
        restore_help(self)
        try:
            with report_full_output():
                return super().main(*args, **more)
        except SystemExit as done:
            own = {threading.current_thread(), threading.main_thread()}
            if any(not each.daemon for each in {*threading.enumerate()} - own):
                end(done.code if isinstance(done.code, int) else 0 if done.code is None else 1)
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        check_arguments(args)
        return super().parse_args(ctx, args)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flyte-host", message="%(prog)s %(version)s")
def main() -> None:
    """Run flyte packs that are installed as Python plugins.

    Exit codes: 0 done, 1 failed at run time, 2 configuration or usage, 3 a plugin is broken (check,
    serve --strict). A signal ends the process as that signal.
    """
    logs.log_uncaught()


main.add_command(ctl)
main.add_command(event)
main.add_command(executions)
main.add_command(flows)
main.add_command(flyte)
main.add_command(journal)


@main.command("serve")
@common_options
@click.option("--strict", is_flag=True, help="Do not start when a plugin is broken.")
def serve_command(config_path: Path | None, log_format: str, log_level: str, strict: bool) -> None:
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
        serve(Host(config, discover(), os.environ, scrubber), strict=strict)


@main.command()
@common_options
def check(config_path: Path | None, log_format: str, log_level: str) -> None:
    """Validate configuration and plugins, reach flyte, say what would be registered.

    Changes nothing. Exit code 2 for the configuration, 3 for a broken plugin, 1 for flyte.
    """
    scrubber = Scrubber()
    logs.configure(log_format, quieter(log_level), scrubber)
    with words_for_errors(scrubber):
        config = read_config(config_path)
        echo("configuration: good")
        with read_packs(config, scrubber) as served:
            for pack in served.packs.values():
                echo(scrubber.scrub(_would_register(pack)))
        problem = _flyte_problem(config, scrubber)
        if served.broken:
            words = [f"{each.config.pack_key}: {each.problem}" for each in served.broken]
            raise PluginError("broken plugins:\n" + "\n".join(words))
        if problem:
            raise FlyteHostError(problem)


@main.command()
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
        for line in _table(rows):
            echo(scrubber.scrub(line))


@main.command()
@common_options
@click.argument("pack")
@click.argument("command")
@click.argument("input_", metavar="[INPUT]", required=False)
def run(
    *,
    config_path: Path | None,
    log_format: str,
    log_level: str,
    pack: str,
    command: str,
    input_: str | None,
) -> None:
    """Run one handler here and print its event; no flyte is needed.

    PACK is the pack's name in the configuration. INPUT is JSON, @FILE to read it from a file, or
    left out to read it from stdin; nothing there means null. Exit code 1 if the event is FATAL.
    """
    scrubber = Scrubber()
    logs.configure(log_format, log_level, scrubber)
    document = read_json_argument("INPUT", input_)
    with words_for_errors(scrubber):
        config = read_config(config_path, flyte_needed=False)
        run_and_print(config, pack, command, document, scrubber)


def _would_register(pack: ServedPack) -> str:
    events = ", ".join(sorted(pack.event_names)) or "none"
    commands = ", ".join(pack.commands) or "none"
    return f"pack {pack.pack_key}: registers as {pack.id}; commands {commands}; events {events}"


def _flyte_problem(config: Config, scrubber: Scrubber) -> str:
    """Print that flyte is reachable, or return why it is not."""
    if config.embedded is not None:
        gone = check_embedded(config.embedded)
        echo("flyte: embedded, started by flyte-host serve; its flows are good")
        for name in gone:
            echo(f"flyte: flow {name} is no longer in any file: serve will delete it")
        return ""
    clock = Clock()
    client = make_client(
        FlyteClient, config.flyte, config.flyte.url or "", scrubber,
            outage=Outage(clock), counters=Counters(), clock=clock,
    )  # fmt: skip
    try:
        client.health()
    except FlyteError as error:
        return f"flyte at {config.flyte.url}: {error}"
    finally:
        client.close()
    echo(f"flyte: reachable at {config.flyte.url}, by {client.engine_name}")
    return ""


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


def _table(rows: list[dict[str, Any]]) -> list[str]:
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
