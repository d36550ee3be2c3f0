"""One handler, run here and now for a person.

Owns how it is found and how its event is shown. Must not know where the input comes from.
"""

import json
import sys
from functools import partial

import msgspec

from flyte_host.cli.common import echo, echo_json
from flyte_host.cli.installed_packs import find_pack, read_packs
from flyte_host.cli.started_processes import kill_started
from flyte_host.config import Config
from flyte_host.errors import FlyteHostError
from flyte_host.foreign_code import ForeignCall
from flyte_host.host.shutdown import catch_stop
from flyte_host.model import FATAL
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.handlers.run_once import run_once
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.secrets import Scrubber, hide_memory
from flyte_host.text import nearest


def run_and_print(
    config: Config, pack: str, command: str, document: bytes, scrubber: Scrubber
) -> None:
    """Run it, and exit with 1 if the event is FATAL; raises FlyteHostError.

    ``pack`` is the pack's name in the configuration, ``document`` the input as JSON.
    """
    hide_memory()  # also from what the handler starts
    with read_packs(config, scrubber) as served:
        found = find_pack(served, pack)
        bound = found.commands.get(command)
        if bound is None:
            known = ", ".join(found.commands) or "none"
            raise FlyteHostError(
                f"pack {pack!r} has no command {command!r}{nearest(command, found.commands)}; "
                f"it has: {known}"
            )
        outcome = _run(found.definition.name, bound, document, scrubber)
    event = msgspec.json.decode(outcome.body)
    if outcome.event_name not in {FATAL, *(each.name for each in bound.command.output_events)}:
        name = outcome.event_name
        echo(f"{command} does not declare {name}: flow writers cannot know of it", err=True)
    shown = {"event": event["event"], "payload": event["payload"]}
    echo_json(json.dumps(shown, indent=2, ensure_ascii=False))
    if outcome.event_name == FATAL:
        sys.exit(1)


def _run(pack: str, bound: BoundCommand, document: bytes, scrubber: Scrubber) -> Outcome:
    """Have a signal end this process and those that the handler started."""
    with catch_stop() as stop:
        running = ForeignCall(partial(run_once, pack, bound, document, scrubber))
        running.outcome.add_done_callback(lambda _: stop.set())
        stop.wait()
        if stop.caught is not None:
            kill_started()
    return running.outcome.result()
