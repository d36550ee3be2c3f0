"""This host as pages show it: its own, and those of its own flyte.

Owns where each answer comes from, and that no secret is in one. Must not know pages.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flyte_host.pipeline.journal import Editor, Entry, JournalError, State
from flyte_host.pipeline.parts import Parts
from flyte_host.records.host_view import JournalRecord
from flyte_host.secrets import Scrubber

T = TypeVar("T")

MOST_ENTRIES = 200


class OwnHost:
    """Reads the journal as ``flyte-host journal`` does: whatever hangs in the host, it answers."""

    def __init__(self, parts: Parts, scrubber: Scrubber) -> None:
        self._packs = {each.id: each for each in parts.served.packs.values()}
        self._journal = parts.journal.path
        self._clock = parts.clock
        self._scrubber = scrubber
        self.scrub = scrubber.scrub

    def input_schemas(self, pack_id: str) -> Mapping[str, Mapping[str, Any]]:
        pack = self._packs.get(pack_id)
        if pack is None:
            return {}
        return {name: each.input_schema for name, each in pack.commands.items()}

    def entries_of(self, action_ids: Sequence[str]) -> Mapping[str, JournalRecord]:
        def read(editor: Editor) -> dict[str, JournalRecord]:
            found = {each: editor.of_action(each) for each in action_ids}
            return {each: self._record(*entry) for each, entry in found.items() if entry}

        return self._read(read) or {}

    def journal(self) -> Sequence[JournalRecord]:
        def read(editor: Editor) -> list[JournalRecord]:
            parked = editor.entries([State.PARKED])
            others = editor.entries([State.WAITING, State.TAKEN])
            return [self._record(each) for each in [*parked, *others][:MOST_ENTRIES]]

        return self._read(read) or []

    def _read(self, read: Callable[[Editor], T]) -> T | None:
        """None without a readable journal: the log and ``/ready`` say what is wrong with it."""
        try:
            with Editor(self._journal, self._clock) as editor:
                return read(editor)
        except JournalError:
            return None

    def _record(self, entry: Entry, attempt: int = 1) -> JournalRecord:
        return JournalRecord(
            entry.name, entry.pack_key, entry.command, entry.action_id, str(entry.state),
            entry.since, self._scrubber.scrub(entry.reason), attempt,
        )  # fmt: skip
