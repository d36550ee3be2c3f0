"""``flyte-host flows``: check flow files and try them out, before a flyte runs them.

Owns options and output. Must not know what a good flow is or when a step fires; that is in
``flow_files``, which needs the extra ``embedded``.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flyte_host.cli.common import (
    command_session,
    common_options,
    echo,
    echo_json,
    quieter,
    words_for_errors,
)
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.cli.lazy_group import LazyGroup
from flyte_host.errors import ConfigError
from flyte_host.extras import needs_extra
from flyte_host.packs import ServedPacks
from flyte_host.secrets import Scrubber
from flyte_host.text import counted

if TYPE_CHECKING:
    from flyte_host.embedded.finding import Finding

FILE = click.Path(path_type=Path)
UNKNOWN_PACK = "F008"


OF_FLYTE = {
    "delete": "Delete flows from flyte; running executions continue.",
    "list": "List the flows that flyte has, and the events that start them.",
    "put": "Store flows from files in flyte, each under its name.",
    "show": "Show a flow that flyte has, as JSON.",
}
"""The first sentence of the help of those that ask flyte."""


@click.group(
    cls=LazyGroup,
    lazily={
        name: ("flyte_host.cli.stored_flows", f"{name}_command", text)
        for name, text in OF_FLYTE.items()
    },
)
def flows() -> None:
    """Check, try out, list, show, put and delete flows.

    check and test read files, without a running flyte. The others ask flyte.
    """


@flows.command("check")
@common_options
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def check_command(
    *,
    config_path: Path | None,
    log_format: str,
    log_level: str,
    files: tuple[Path, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Say all that is wrong with flow files, by file and line.

    Packs, commands and events that no installed plugin has are warnings: another host may have
    them. Exit code 2 if there are problems.
    """
    with command_session(log_format, quieter(log_level)) as scrubber:
        with needs_extra("embedded", "flows check"):
            from flyte_host.cli import flow_files  # noqa: PLC0415  an extra
        with read_packs(read_config(config_path, flyte_needed=False), scrubber) as served:
            findings = flow_files.check_files(files, flow_files.names(served))
        if as_json:
            echo_json(_json({"findings": [asdict(each) for each in findings]}))
        else:
            _print(findings, served, scrubber)
        if any(strict or not each.is_warning for each in findings):
            sys.exit(ConfigError.exit_code)


def _print(findings: "Sequence[Finding]", served: ServedPacks, scrubber: Scrubber) -> None:
    for each in findings:
        echo(str(each))
    warnings = sum(each.is_warning for each in findings)
    if any(each.code == UNKNOWN_PACK for each in findings):
        for words in _unknown_names(served):
            echo(f"flyte-host: {scrubber.scrub(words)}", err=True)
    problems = counted(len(findings) - warnings, "problem")
    echo(f"{problems}, {counted(warnings, 'warning')}", err=True)


def _unknown_names(served: ServedPacks) -> Iterator[str]:
    """Plugins that may have the packs that the flows name."""
    for plugin in served.broken:
        yield f"{plugin.config.pack_key} is broken, its names are not known: {plugin.problem}"
    if names := ", ".join(each.config.pack_key for each in served.not_set_up):
        yield f"not set up, so their names are not known: {names}; flyte-host packs says why"


@flows.command("test")
@click.argument("file", type=FILE)
@click.option(
    "--event",
    "event",
    metavar="EVENT.json",
    required=True,
    type=FILE,
    help='What a pack says: {"pack": …, "event": …, "payload": …, "labels": {…}}.',
)
@click.option(
    "--result",
    "results",
    metavar="STEP=RESULT.json",
    multiple=True,
    help='How the command of a step ends: {"event": …, "payload": …}; may be given '
    "several times, in order. A step without id goes by its number, from 1 on.",
)
@click.option(
    "--datastore",
    "items",
    metavar="KEY=FILE",
    multiple=True,
    help="An item of the datastore; *.json is JSON, other files are text.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def test_command(
    *, file: Path, event: Path, results: tuple[str, ...], items: tuple[str, ...], as_json: bool
) -> None:
    """Show which steps of a flow fire on an event, and with what.

    Nothing is run. With --result, also show what the results of commands lead to. Exit code 2 if a
    file cannot be used, 0 whether steps fire or not.
    """
    results_of_steps = [_pair(text, "--result", "STEP=RESULT.json") for text in results]
    datastore = dict(_pair(text, "--datastore", "KEY=FILE") for text in items)
    with words_for_errors(Scrubber()):
        with needs_extra("embedded", "flows test"):
            from flyte_host.cli import flow_files  # noqa: PLC0415  an extra
        heard = list(flow_files.try_flow(file, event, results_of_steps, datastore))
        if as_json:
            echo_json(_json({"heard": [flow_files.document(each) for each in heard]}))
        else:
            for line in (line for each in heard for line in flow_files.lines(each)):
                echo(line)


def _pair(text: str, option: str, form: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise click.UsageError(f"{option} {text}: expected {form}")
    return name, Path(path)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
