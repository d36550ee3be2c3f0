"""The words of the domain as frozen dataclasses.

Owns what a pack, a command, an event and an action are. Must not know where they come from or
go to: no I/O, no HTTP, no SQL, no pluggy.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LONGEST_NAME = 200
"""Of packs, labels, commands and events: they are parts of URLs and of every log line."""
FATAL = "FATAL"
"""The event name by which flyte knows that an action failed; any other name means success."""


@dataclass(frozen=True, slots=True)
class EventDef:
    """An event that a pack can send; calling it makes the event.

    ``ISSUE_CREATED = EventDef("IssueCreated")``, later ``ISSUE_CREATED({"issueId": "FOO-1"})``.
    """

    name: str
    help_url: str | None = None

    def __call__(self, payload: Any = None) -> "Event":
        return Event(self, payload)


@dataclass(frozen=True, slots=True)
class Event:
    """What a handler returns and what :func:`flyte_observe` emits.

    ``payload`` is anything msgspec encodes as JSON: dicts, lists, dataclasses, Structs, datetimes,
    UUIDs, Enums, ``None``. What cannot be encoded ends the action as a ``FATAL`` that says so.
    """

    event_def: EventDef
    payload: Any = None


@dataclass(frozen=True, slots=True)
class EncodedEvent(Event):
    """An event whose document for flyte exists already: the process of its plugin encoded it."""

    body: bytes = b""


def fatal_event(payload: Any) -> Event:
    """Report a serious error: flyte puts the action into its state FATAL.

    Prefer a string: most flows read the payload of ``FATAL`` as text.
    """
    return Event(EventDef(FATAL), payload)


@dataclass(frozen=True, slots=True)
class Action:
    """What a handler may ask about the action that it runs.

    ``deadline`` is when the host gives up waiting (``None``: never). ``attempt`` is above 1 only
    when a restart of the host runs an idempotent command again. Times carry a zone. ``trace`` is
    its trace context, which :func:`trace_headers` has as headers; empty: none.
    """

    id: str
    command: str
    pack: str
    taken_at: datetime
    attempt: int = 1
    deadline: datetime | None = None
    trace: str = ""


Handler = (
    Callable[[Any], Event | Awaitable[Event]] | Callable[[Any, Action], Event | Awaitable[Event]]
)
"""``handler(input)`` or ``handler(input, action)``, sync or ``async``, returning an Event."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that flows can ask of a pack.

    ``output_events`` are the events that flow writers may wait for (``FATAL`` is always possible
    and never declared). ``timeout_seconds``: past it the action ends as a ``FATAL``; ``None``
    has no limit. ``idempotent``: after a crash of the host the command may be run again; else
    an action that was cut off ends as a ``FATAL`` that says so.
    """

    name: str
    handler: Handler
    output_events: Sequence[EventDef]
    help_url: str | None = None
    timeout_seconds: float | None = None
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class PackDef:
    """What flyte learns about a pack.

    ``event_defs`` are events that the pack raises on its own; the output events of its commands
    are declared by the host. ``name`` and ``labels`` together are the pack's identity in flyte.
    """

    name: str
    help_url: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    event_defs: Sequence[EventDef] = ()
    commands: Sequence[Command] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What a health check found; ``status`` is any JSON that helps its reader."""

    healthy: bool
    status: Any = None


class NotSetUp(ValueError):
    """Raised by a plugin's constructor that needs settings and has none.

    The text says which. A plugin that no table names is then "not set up"; one with a table, or
    whose settings are wrong, is broken: for those raise a ValueError.
    """


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A question about a pack's surroundings, asked at every read of the health page.

    ``check`` returns a :class:`Health` within seconds. An unhealthy check that is ``critical``
    turns the page to 500.
    """

    name: str
    check: Callable[[], Health]
    critical: bool = True


def pack_id(name: str, labels: Mapping[str, str]) -> str:
    """The id that flyte gives a pack: its name, then ``.key.value`` by sorted key."""
    return name + "".join(f".{key}.{labels[key]}" for key in sorted(labels))


@dataclass(frozen=True, slots=True)
class Registration:
    """Where flyte takes a registered pack's calls; hrefs are absolute and percent-encoded."""

    pack_id: str
    take_href: str
    events_href: str


@dataclass(frozen=True, slots=True)
class HeardNews:
    """For which packs actions wait, by name and wanted labels, and where to continue.

    ``can_check``: by a check, flyte takes the packs for alive.
    """

    cursor: str
    waiting: Sequence[tuple[str, Mapping[str, str]]]
    can_check: bool = False


@dataclass(frozen=True, slots=True)
class StepRun:
    """A step of a flow that runs in an execution, which flyte knows by its id."""

    flow: str
    step: str
    execution: str


@dataclass(frozen=True, slots=True)
class Taken:
    """An action as flyte gave it out: irrevocably, with ``input`` as the JSON that it sent.

    ``result_href`` is relative to flyte's URL where it is flyte's own, so that it stays good when
    flyte moves to another address; else absolute. ``step`` is what asked for it, if flyte tells.
    ``trace`` is its trace context, as ``traceparent`` has it.
    """

    id: str
    command: str
    input: bytes
    result_href: str
    step: StepRun | None = None
    trace: str = ""
