"""One handler, run here and now for a person.

Owns how it is found and how its event is shown. Must not know where the input comes from.
"""

import json
import sys

import msgspec

from flyte_host.cli.common import echo_json
from flyte_host.cli.installed_packs import find_pack, read_packs
from flyte_host.config import Config
from flyte_host.errors import FlyteHostError
from flyte_host.model import FATAL
from flyte_host.pipeline.runner import run_once
from flyte_host.secrets import Scrubber
from flyte_host.text import nearest


def run_and_print(
    config: Config, pack: str, command: str, document: bytes, scrubber: Scrubber
) -> None:
    """Ends the process with 1 if the event is FATAL; raises FlyteHostError.

    ``pack`` is the pack's name in the configuration, ``document`` the input as JSON.
    """
    with read_packs(config, scrubber) as served:
        found = find_pack(served, pack)
        bound = found.commands.get(command)
        if bound is None:
            known = ", ".join(found.commands) or "none"
            raise FlyteHostError(
                f"pack {pack!r} has no command {command!r}{nearest(command, found.commands)}; "
                f"it has: {known}"
            )
        outcome = run_once(found.definition.name, bound, document, scrubber)
    event = msgspec.json.decode(outcome.body)
    shown = {"event": event["event"], "payload": event["payload"]}
    echo_json(json.dumps(shown, indent=2, ensure_ascii=False))
    if outcome.event_name == FATAL:
        sys.exit(1)
