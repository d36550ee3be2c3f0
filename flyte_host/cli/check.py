"""``flyte-host check``: whether ``serve`` would start, and what it would register.

Owns its output and exit codes.
"""

from pathlib import Path

import click

from flyte_host import logs
from flyte_host.cli.common import common_options, echo, quieter, words_for_errors
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.client import FlyteClient, Outage
from flyte_host.clock import Clock
from flyte_host.config import Config
from flyte_host.counters import Counters
from flyte_host.errors import FlyteError, FlyteHostError, PluginError
from flyte_host.packs import ServedPack
from flyte_host.pipeline.parts import make_client
from flyte_host.secrets import Scrubber


@click.command()
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


def _would_register(pack: ServedPack) -> str:
    events = ", ".join(sorted(pack.event_names)) or "none"
    commands = ", ".join(pack.commands) or "none"
    return f"pack {pack.pack_key}: registers as {pack.id}; commands {commands}; events {events}"


def _flyte_problem(config: Config, scrubber: Scrubber) -> str:
    """Print that flyte is reachable, or return why it is not."""
    if config.embedded is not None:
        # With a web server, which a flyte elsewhere does not need.
        from flyte_host.host.embedded_server import check_embedded  # noqa: PLC0415

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
