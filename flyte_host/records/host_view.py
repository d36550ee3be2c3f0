"""What embedded flyte's pages show of the host that runs it.

Owns the questions. Must not know how the host finds the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """An entry of the host's journal; an event's has no command and no action."""

    name: str
    pack_key: str
    command: str
    action_id: str
    state: str
    since: datetime
    reason: str
    attempt: int = 1


class HostView(Protocol):
    """Safe from any thread; never raises."""

    def scrub(self, text: str) -> str:
        """The text without the secrets that the host knows."""
        ...

    def input_schemas(self, pack_id: str) -> Mapping[str, Mapping[str, Any]]:
        """The JSON Schemas of the inputs of a pack's commands, by command."""
        ...

    def entries_of(self, action_ids: Sequence[str]) -> Mapping[str, JournalRecord]:
        """What the journal has of these actions, by their ids."""
        ...

    def journal(self) -> Sequence[JournalRecord]:
        """What flyte refused, then what it does not have yet; at most a few hundred."""
        ...


class NoHost:
    """A flyte that runs alone, or whose host has not begun to serve."""

    def scrub(self, text: str) -> str:
        return text

    def input_schemas(self, pack_id: str) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG002
        return {}

    def entries_of(self, action_ids: Sequence[str]) -> Mapping[str, JournalRecord]:  # noqa: ARG002
        return {}

    def journal(self) -> Sequence[JournalRecord]:
        return ()
