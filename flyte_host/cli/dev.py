"""``flyte-host dev``: a plugin from a folder.

Owns its options. Must not know how a folder is served.
"""

from pathlib import Path
from typing import Any

import click

from flyte_host.cli.common import command_session
from flyte_host.config import parse_listen
from flyte_host.dev.dev_options import DevOptions
from flyte_host.dev.project_folder import read_project
from flyte_host.dev.restarter import Restarter
from flyte_host.origin import is_loopback


def _loopback(_ctx: Any, _param: Any, text: str | None) -> str | None:
    """Anybody who can reach it may do anything."""
    if text is None:
        return None
    try:
        host, _ = parse_listen(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not is_loopback(host):
        raise click.BadParameter("expected an address of this machine alone, such as 127.0.0.1:0")
    return text


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration file, instead of flyte-host.toml of PATH.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    callback=_loopback,
    help="Where flyte listens, instead of where the file says; port 0: any free one.",
)
@click.option("--log-level", default="info", show_default=True,
              type=click.Choice(["debug", "info", "warning", "error"]),
              help="The least severe log lines to write to stderr.")  # fmt: skip
def dev(*, path: Path, config_path: Path | None, listen: str | None, log_level: str) -> None:
    """Serve the plugin in a folder, and restart after each change.

    PATH is the folder of its pyproject.toml, this one if left out; it need not be installed. flyte
    runs in the same process, with the flows of the configuration, else those of flows/*.yaml;
    events are printed with their payloads, and tracebacks show the files of PATH alone. Ctrl-C ends
    it, and with it everything that flyte and the journal kept. Needs the extra dev.
    """
    with command_session("text", log_level):
        folder = path.resolve()
        read_project(folder)
        config = config_path.resolve() if config_path is not None else None
        Restarter(DevOptions(folder, config, listen, log_level)).run()
