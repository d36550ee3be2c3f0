"""``flyte-host mcp``: commands of packs as tools.

Owns options. Must not know the protocol.
"""

import os
from contextlib import nullcontext
from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.extras import needs_extra
from flyte_host.mcp.wire_streams import claim_streams
from flyte_host.secrets import hide_memory


@click.command()
@common_options
@click.option("--http", is_flag=True, help="Serve at [mcp] listen, instead of stdin and stdout.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="The journal, instead of [mcp] state: each server needs its own.",
)
def mcp(
    config_path: Path | None, log_format: str, log_level: str, http: bool, state: Path | None
) -> None:
    """Offer commands of packs as tools for language models, by MCP.

    MCP is the Model Context Protocol. Ends when stdin does, or by SIGTERM, SIGINT or SIGHUP. Only
    what [mcp] allow names is offered. flyte is not asked: the commands run here, from a journal,
    with their slots and timeouts. Observers do not run.
    """
    with (
        nullcontext() if http else claim_streams() as streams,
        command_session(log_format, log_level) as scrubber,
    ):
        hide_memory()
        with needs_extra("mcp", "mcp"):
            from flyte_host.mcp.serving_tools import serve_tools  # noqa: PLC0415  an extra
        config = read_config(config_path, flyte_needed=False)
        with read_packs(config, scrubber) as served:
            serve_tools(config, served, os.environ, scrubber, streams=streams, state=state)
