"""How a call of a handler ends, as flyte learns it."""

from collections.abc import AsyncGenerator, Coroutine, Generator
from dataclasses import dataclass

from flyte_host.client.wire import encode_event, encode_fatal
from flyte_host.clock import Clock
from flyte_host.model import FATAL, Event, EventDef
from flyte_host.secrets import Scrubber
from flyte_host.text import type_of

LONGEST_PROBLEM = 10_000
"""Characters of an exception's text that a FATAL carries: flyte refuses huge documents."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The event's name and its JSON for flyte.

    ``problem`` is the payload of a FATAL that the host made itself, else empty. ``timed_out``: the
    handler may still be running.
    """

    event_name: str
    body: bytes
    problem: str = ""
    timed_out: bool = False

    @property
    def ending(self) -> str:
        """The word for it in metrics."""
        if self.timed_out:
            return "timeout"
        return "fatal" if self.event_name == FATAL else "success"


class Outcomes:
    """Makes outcomes from what handlers return, and the host's own FATALs."""

    def __init__(self, scrubber: Scrubber, clock: Clock) -> None:
        self._scrubber = scrubber
        self._clock = clock

    def of(self, command: str, returned: object) -> Outcome:
        """The outcome for what the command's handler returned."""
        if not isinstance(returned, Event):
            return self.fatal(f"command {command!r} returned {_unfit(returned)}")
        if problem := _definition_problem(returned.event_def):
            return self.fatal(f"command {command!r} returned an Event whose {problem}")
        try:
            body = encode_event(returned, self._clock.now())
        except ValueError as error:
            return self.fatal(f"command {command!r}: {error}")
        return Outcome(returned.event_def.name, body)

    def fatal(self, text: str, *, timed_out: bool = False) -> Outcome:
        """The host's own FATAL; its payload is text, since flows rely on that."""
        text = self._scrubber.scrub(text)
        if len(text) > LONGEST_PROBLEM:
            text = f"{text[:LONGEST_PROBLEM]} …"
        return Outcome(FATAL, encode_fatal(text, self._clock.now()), text, timed_out)


def _unfit(returned: object) -> str:
    """What was returned instead of an Event, and what to do if that is plain."""
    if isinstance(returned, EventDef):
        return f"the EventDef {returned.name}, expected an Event: call it to make one"
    what = type_of(returned)
    if isinstance(returned, type):
        return f"the class {returned.__name__}, expected an Event: return one such as MY_EVENT()"
    if isinstance(returned, Generator | AsyncGenerator):
        return f"{what}, expected an Event: return one instead of yielding it"
    if isinstance(returned, Coroutine):  # from a coroutine function, which was awaited
        returned.close()
        return f"{what}, expected an Event: await it"
    return f"{what}, expected an Event"


def _definition_problem(event_def: object) -> str:
    if not isinstance(event_def, EventDef):
        return f"event_def is {type_of(event_def)}, expected an EventDef"
    name: object = event_def.name
    if not isinstance(name, str) or not name:
        return f"name is {name!r}, expected a non-empty string"
    return ""
