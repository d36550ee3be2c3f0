"""The journal's words as frozen dataclasses.

Owns what an entry is, its states, and the name people use for it. Must not know how entries are
stored.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from flyte_host.client.wire import event_name
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.action_fields import about_action
from flyte_host.traceparent import trace_id_of

_NAME = re.compile(r"([re])([1-9][0-9]{0,17})")


class Kind(StrEnum):
    """What is delivered to flyte."""

    RESULT = "result"
    EVENT = "event"


class State(StrEnum):
    """How far an entry has come; an event is only ever ``waiting`` or ``parked``."""

    TAKEN = "taken"
    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class OpenAction:
    """An action without a result. ``pack_key`` is the pack's name in the configuration."""

    number: int
    pack_key: str
    pack: str
    taken: Taken
    taken_at: datetime
    attempt: int

    @property
    def about(self) -> dict[str, str]:
        """The fields of a log line about it."""
        taken = self.taken
        return about_action(self.pack_key, taken.command, taken.id, taken.step, taken.trace)


def with_trace(opened: OpenAction, trace: str) -> OpenAction:
    """The action in another trace context; ``dataclasses.replace`` would take longer."""
    taken = opened.taken
    return OpenAction(
        opened.number, opened.pack_key, opened.pack,
        Taken(taken.id, taken.command, taken.input, taken.result_href, taken.step, trace),
        opened.taken_at, opened.attempt,
    )  # fmt: skip


class Owed(NamedTuple):
    """The key of a result or an event that waits for delivery; the journal has its body."""

    kind: Kind
    pack_key: str
    number: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A result or an event with its body; an event leaves the fields of an action empty.

    ``replaced``: the body is a FATAL of the host, in place of a result that flyte refused. ``step``
    is what asked for the action, if that is known. ``trace`` is the trace context.
    """

    kind: Kind
    number: int
    pack_key: str
    body: bytes
    pack: str = ""
    command: str = ""
    action_id: str = ""
    result_href: str = ""
    replaced: bool = False
    step: StepRun | None = None
    trace: str = ""

    @property
    def owed(self) -> Owed:
        """The key of this delivery."""
        return Owed(self.kind, self.pack_key, self.number)

    @property
    def about(self) -> dict[str, str]:
        """The fields of a log line about it."""
        if self.kind is Kind.RESULT:
            return about_action(self.pack_key, self.command, self.action_id, self.step, self.trace)
        fields = {"pack": self.pack_key, "event": event_name(self.body)}
        return fields | {"trace": trace_id_of(self.trace)} if self.trace else fields


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is open, by state, and since when the oldest undelivered entry waits.

    ``unwritten`` counts finished results that are in memory only, because the journal could not be
    written; the file has their actions as taken.
    """

    taken: int
    results: int
    events: int
    parked: int
    oldest_waiting: datetime | None
    unwritten: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as people see it, in its state ``since`` then; an event has no command and no id.

    ``reason`` says why it is parked. ``pack_key`` is the pack's name in the configuration.
    """

    kind: Kind
    number: int
    pack_key: str
    command: str
    action_id: str
    state: State
    since: datetime
    reason: str

    @property
    def name(self) -> str:
        """The name people use for it."""
        return entry_name(self.kind, self.number)


@dataclass(frozen=True, slots=True)
class Contents:
    """An entry with its documents: ``input`` and ``body`` as JSON, or None if there is none.

    ``body`` is the result of an action, or the event. ``step`` is what asked for an action, if that
    is known; ``trace`` is the trace context.
    """

    entry: Entry
    taken_at: datetime | None
    attempt: int
    replaced: bool
    input: bytes | None
    body: bytes | None
    step: bytes | None
    trace: str


def entry_name(kind: Kind, number: int) -> str:
    """``r12`` for an action and its result, ``e7`` for an event."""
    return f"{kind[0]}{number}"


def parse_name(name: str) -> tuple[Kind, int]:
    """Undo :func:`entry_name`; raises ValueError with a sentence for people."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"found {name!r}, expected the name of an entry: r12 (an action and its result) or "
            "e7 (an event)"
        )
    return (Kind.RESULT if match[1] == "r" else Kind.EVENT), int(match[2])
