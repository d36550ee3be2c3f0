"""``flyte-host run``: one handler, without a flyte.

Owns its options. Must not know how the handler is found and shown.
"""

from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options
from flyte_host.cli.completion import complete_pack_key
from flyte_host.cli.inputs import read_config, read_json_argument
from flyte_host.cli.running import run_and_print


@click.command()
@common_options
@click.argument("pack", shell_complete=complete_pack_key)
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

    PACK is the pack's name in the configuration or in flyte. INPUT is JSON, @FILE to read it from
    a file, or left out to read it from stdin; nothing there means null. Exit code 1 if the event is
    FATAL.
    """
    with command_session(log_format, log_level) as scrubber:
        document = read_json_argument("INPUT", input_)
        config = read_config(config_path, flyte_needed=False)
        run_and_print(config, pack, command, document, scrubber)
