"""One call of a handler as the host makes it, timeout included, without flyte or journal."""

import logging
import threading
from datetime import timedelta

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.model import Action
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.secrets import Scrubber
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)


def run_once(
    pack: str,
    bound: BoundCommand,
    document: bytes,
    scrubber: Scrubber,
    *,
    action_id: str = "local",
) -> Outcome:
    """The outcome of the call; a handler past its timeout runs on in its own thread."""
    clock = Clock()
    now, seconds = clock.now(), bound.command.timeout_seconds
    deadline = None if seconds is None else now + timedelta(seconds=seconds)
    tools = HandlerTools(scrubber, clock, Counters(), ThreadWatch())
    tools.start()
    try:
        action = Action(action_id, bound.command.name, pack, now, 1, deadline)
        about = about_action(bound.owner, action.command, action.id, None)
        call = HandlerCall(bound, document, action, bound.owner, tools=tools, about=about)
        threading.Thread(
            target=call.start, name=f"{pack}:{bound.command.name}", daemon=True
        ).start()
        outcome = call.outcome.wait()
        if outcome.timed_out:
            place = call.place()
            log.warning("%s still ran at its timeout%s", action.command, place, extra=about)
        return outcome
    finally:
        tools.close()
