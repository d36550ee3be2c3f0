"""``flyte-host ctl``: pause, resume and drain packs of a host that runs on this machine.

Owns what people type and read, and how a drain is waited for. Must not know how a host does it.
"""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from flyte_host.cli.common import (
    command_session,
    common_options,
    echo,
    echo_json,
    quieter,
    words_for_errors,
)
from flyte_host.cli.completion import complete_pack_key
from flyte_host.cli.inputs import read_config
from flyte_host.cli.table import print_table
from flyte_host.control.control_server import ask, socket_of
from flyte_host.errors import FlyteHostError
from flyte_host.secrets import Scrubber

LOOK_SECONDS = 0.2
OPEN = ("running", "taking", "stuck", "waiting")
"""What a drain waits for."""
HEADS = ("PACK", "ACTIONS", "ASKING FLYTE", "RUNNING", "STUCK", "WAITING FOR FLYTE", "PROBLEM")


@click.group()
def ctl() -> None:
    """Control a host that runs on this machine under the same user.

    The configuration says which one: it is found by its [host] state. Nothing
    is paused after a restart of the host.
    """


@ctl.command()
@common_options
@click.argument("pack", required=False, shell_complete=complete_pack_key)
def pause(*, pack: str | None, **session: Any) -> None:
    """Take no more actions of PACK, or of all packs.

    Running actions continue, their results are delivered, and events are still raised. PACK is the
    pack's name in the configuration or in flyte.
    """
    _tell(_ask("pause", pack, **session))


@ctl.command()
@common_options
@click.argument("pack", required=False, shell_complete=complete_pack_key)
def resume(*, pack: str | None, **session: Any) -> None:
    """Take actions of PACK, or of all packs, again."""
    _tell(_ask("resume", pack, **session))


@ctl.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(*, as_json: bool, **session: Any) -> None:
    """Show for each pack whether it is paused, and what runs or waits.

    A handler past its timeout is stuck, and no longer counts as running.
    """
    packs = _ask("status", None, **session)
    if as_json:
        echo_json(json.dumps({"packs": packs}, indent=2, ensure_ascii=False))
    else:
        print_table(HEADS, [_cells(each) for each in packs], wrapped=("ACTIONS", "PROBLEM"))


@ctl.command()
@common_options
@click.option(
    "--timeout",
    "timeout_seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Wait no longer than this, then exit with 1; the packs stay paused.",
)
@click.argument("pack", required=False, shell_complete=complete_pack_key)
def drain(*, timeout_seconds: float | None, pack: str | None, **session: Any) -> None:
    """Pause PACK, or all packs, and wait until it is idle.

    It is idle once nothing of it runs and flyte has all its results and events. A handler past its
    timeout counts as running. Resume with flyte-host ctl resume.
    """
    began = time.monotonic()
    pause = threading.Event()
    packs, verb, shown = [], "pause", ""
    while True:
        packs = _ask(verb, pack, **session)
        left = [each for each in packs if any(each[key] for key in OPEN)]
        words = "; ".join(_line(each) for each in left)
        if not left:
            break
        if words != shown:
            echo(words, err=True)
        if timeout_seconds is not None and time.monotonic() - began >= timeout_seconds:
            with words_for_errors(Scrubber()):
                raise FlyteHostError(f"not drained within {timeout_seconds:g} s: {words}")
        verb, shown = "status", words
        pause.wait(LOOK_SECONDS)
    _tell(packs)


def _ask(
    verb: str, pack: str | None, config_path: Path | None, log_format: str, log_level: str
) -> list[Any]:
    with command_session(log_format, quieter(log_level)):
        config = read_config(config_path, flyte_needed=False)
        packs: list[Any] = ask(socket_of(config.host.state), {"do": verb, "pack": pack})["packs"]
    return packs


def _tell(packs: Sequence[Any]) -> None:
    for each in packs:
        echo(_line(each))


def _cells(pack: Any) -> tuple[str, ...]:
    counts = [str(pack[key]) for key in ("taking", "running", "stuck", "waiting")]
    return (pack["name"], _state(pack), *counts, pack["problem"] or "-")


def _state(pack: Any) -> str:
    since = pack["paused_since"]
    return f"paused since {since}" if since else "takes actions"


def _line(pack: Any) -> str:
    counts = [f"{pack['running']} running", f"{pack['waiting']} waiting for flyte"]
    if pack["stuck"]:
        counts.insert(1, f"{pack['stuck']} past their timeout")
    if pack["taking"]:
        counts.insert(1, f"{pack['taking']} asking flyte")
    words = [_state(pack), ", ".join(counts), *filter(None, [pack["problem"]])]
    return f"{pack['name']}: {'; '.join(words)}"
