"""The calls that a person makes to flyte, from the command line.

Owns which flyte is asked, and what is said when it does not answer. Must not know the commands.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from flyte_host.cli.common import command_session, common_options, quieter
from flyte_host.cli.inputs import read_config
from flyte_host.client.configured_conversation import make_conversation
from flyte_host.client.operator_client import OperatorClient
from flyte_host.clock import Clock
from flyte_host.config import Config, parse_listen
from flyte_host.counters import Counters
from flyte_host.errors import ConfigError, FlyteError, FlyteHostError
from flyte_host.secrets import Scrubber

F = TypeVar("F", bound=Callable[..., Any])


def flyte_options(function: F) -> F:
    """The options of a command that asks flyte."""
    url = click.option(
        "--url", metavar="URL", help="flyte's address, instead of the configured one."
    )
    return common_options(url(function))


@contextmanager
def flyte_session(
    config_path: Path | None, log_format: str, log_level: str, url: str | None
) -> Iterator[OperatorClient]:
    """flyte as configured, or at ``url``; whatever goes wrong ends the command with a sentence."""
    with command_session(log_format, quieter(log_level)) as scrubber:
        environ = {**os.environ, "FLYTE_API": url} if url else dict(os.environ)
        config = read_config(config_path, environ=environ)
        address = address_of(config)
        client = connect(config, address, scrubber)
        try:
            yield client
        except FlyteError as error:
            raise FlyteHostError(f"flyte at {address}: {error}") from error
        finally:
            client.close()


def connect(config: Config, address: str, scrubber: Scrubber) -> OperatorClient:
    """A client of flyte at ``address``."""
    clock = Clock()
    conversation = make_conversation(config.flyte, address, scrubber, clock=clock)
    return OperatorClient(conversation, Counters(), clock)


def address_of(config: Config) -> str:
    """Where flyte is; raises ConfigError for an embedded one at any free port."""
    if config.embedded is None:
        return config.flyte.url or ""
    host, port = parse_listen(config.embedded.listen)
    if port == 0:
        found = f"found flyte.embedded.listen = {config.embedded.listen!r}, any free port"
        raise ConfigError([f"{found}: say with --url where flyte is"])
    return f"http://{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    """Where a server that listens on ``host`` is reached from this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{reached}]" if ":" in reached else reached
