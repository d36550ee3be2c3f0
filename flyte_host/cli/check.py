"""``flyte-host check``: whether ``serve`` would start, and what it would register.

Owns its output and exit codes.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options, echo, quieter
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import read_packs
from flyte_host.cli.time_zone import unknown_zone
from flyte_host.client.address_probe import why_wrong_scheme
from flyte_host.client.bearer_token import BearerToken, TokenUnavailable
from flyte_host.client.configured_conversation import make_conversation
from flyte_host.client.flyte_address import safe_url
from flyte_host.client.operator_client import OperatorClient
from flyte_host.client.token_claims import describe_claims, read_claims, why_not_now
from flyte_host.clock import Clock
from flyte_host.config import Config, EmbeddedConfig
from flyte_host.config.clear_secrets import clear_secrets
from flyte_host.counters import Counters
from flyte_host.errors import (
    ConfigError,
    FlyteBadAnswer,
    FlyteError,
    FlyteHostError,
    FlyteUnknown,
    PluginError,
)
from flyte_host.packs import ServedPack, ServedPacks
from flyte_host.secrets import Scrubber, Secrets

BY_WEIGHT = (ConfigError.exit_code, PluginError.exit_code, FlyteHostError.exit_code)


@click.command()
@common_options
def check(config_path: Path | None, log_format: str, log_level: str) -> None:
    """Say whether serve would work, and what it would register.

    Validates the configuration and the plugins, reaches flyte, tries the token, the ports and the
    folders, and checks the flow files. Exit code 0 only if serve would work, 2 for the
    configuration, 3 for a broken plugin, 1 for the rest. Changes nothing.
    """
    with command_session(log_format, quieter(log_level)) as scrubber:
        config = read_config(config_path)
        echo("configuration: good")
        for key in clear_secrets(config):
            echo(f'warning: {key} looks like a secret in clear text; write {{env = "NAME"}}')
        if zone := unknown_zone(os.environ):
            echo(f"warning: TZ={zone} is not a known time zone: times are in UTC")
        with read_packs(config, scrubber) as served:
            for pack in served.packs.values():
                echo(scrubber.scrub(_would_register(pack)))
            for plugin in served.not_set_up:
                echo(scrubber.scrub(f"{plugin.config.pack_key} is not set up: {plugin.problem}"))
            if errors := list(_errors(config, served, scrubber)):
                raise _together(errors)


def _errors(config: Config, served: ServedPacks, scrubber: Scrubber) -> Iterator[FlyteHostError]:
    """The errors of all checks: none keeps another from being seen."""
    for check_part in (_check_plugins, _check_places, _check_traces, _check_flyte):
        try:
            check_part(config, served, scrubber)
        except FlyteHostError as error:
            yield error


def _together(errors: Sequence[FlyteHostError]) -> FlyteHostError:
    """One error with the lines of all, and the exit code that says most."""
    error = FlyteHostError(*(line for each in errors for line in each.lines))
    error.exit_code = min((each.exit_code for each in errors), key=BY_WEIGHT.index)
    return error


def _check_plugins(_config: Config, served: ServedPacks, _scrubber: Scrubber) -> None:
    if served.broken:
        words = [f"{each.config.pack_key}: {each.problem}" for each in served.broken]
        raise PluginError("broken plugins:", *words)


def _check_places(config: Config, _served: ServedPacks, _scrubber: Scrubber) -> None:
    # Loads a web server, which other commands do not need.
    from flyte_host.host.start_conditions import why_not_start  # noqa: PLC0415

    if problems := why_not_start(config):
        raise FlyteHostError(*problems)


def _check_traces(config: Config, _served: ServedPacks, scrubber: Scrubber) -> None:
    """Check extra and secrets, not the collector itself."""
    if config.traces is None:
        return
    # Loads OpenTelemetry, which others do not need.
    from flyte_host.traces import make_tracer  # noqa: PLC0415

    make_tracer(config.traces, Secrets(os.environ, scrubber), scrubber).close(0)
    echo(f"traces: sent to {config.traces.url}")


def _would_register(pack: ServedPack) -> str:
    events = ", ".join(sorted(pack.event_names)) or "none"
    commands = ", ".join(pack.commands) or "none"
    return f"pack {pack.pack_key}: registers as {pack.id}; commands {commands}; events {events}"


def _check_flyte(config: Config, served: ServedPacks, scrubber: Scrubber) -> None:
    if config.embedded is not None:
        _check_embedded(config.embedded, served, Secrets(os.environ, scrubber))
    elif problems := _problems_of_flyte_elsewhere(config, scrubber):
        raise FlyteHostError(*problems)


def _check_embedded(embedded: EmbeddedConfig, served: ServedPacks, secrets: Secrets) -> None:
    """Print what is found in its files; raises ConfigError for problems."""
    # Loads a web server, which is not needed for a flyte elsewhere.
    from flyte_host.host.configured_flows import find_flow_files  # noqa: PLC0415
    from flyte_host.host.embedded_server import check_embedded  # noqa: PLC0415

    gone = check_embedded(embedded, secrets)
    from flyte_host.cli import flow_files  # noqa: PLC0415  an extra

    paths = [Path(each) for each in find_flow_files(embedded.flows, [])]
    findings = flow_files.check_files(paths, flow_files.names(served))
    for each in findings:
        if each.is_warning:
            echo(f"flyte: {each}")
    if problems := [str(each) for each in findings if not each.is_warning]:
        raise ConfigError(problems)
    echo("flyte: embedded, started by flyte-host serve; its flows are good")
    for name in gone:
        echo(f"flyte: flow {name} is no longer in any file: serve will delete it")


def _problems_of_flyte_elsewhere(config: Config, scrubber: Scrubber) -> list[str]:
    """Print that flyte answers us, or return why it does not."""
    url = config.flyte.url or ""
    clock = Clock()
    conversation = make_conversation(config.flyte, url, scrubber, clock=clock)
    client = OperatorClient(conversation, Counters(), clock)
    problems = _token_problems(client.transport.token, clock)
    try:
        if wrong := why_wrong_scheme(url):
            return [*problems, f"flyte at {safe_url(url)}: {wrong}"]
        client.health()
        client.packs()
    except FlyteError as error:
        return [*problems, f"flyte at {safe_url(url)}: {_why_no_flyte(error)}"]
    finally:
        client.close()
    echo(f"flyte: reachable at {safe_url(url)}, by {client.transport.engine_name}")
    return problems


def _token_problems(token: BearerToken | None, clock: Clock) -> list[str]:
    try:
        claims = None if token is None else read_claims(token.current())
    except TokenUnavailable as error:
        return [str(error)]
    if claims is None:
        return []
    echo(f"flyte: the token {describe_claims(claims)}")
    problem = why_not_now(claims, clock.now())
    return [f"flyte.token: {problem}"] if problem else []


def _why_no_flyte(error: FlyteError) -> str:
    is_other = isinstance(error, FlyteUnknown | FlyteBadAnswer)
    return f"this is not a flyte: {error}" if is_other else str(error)
