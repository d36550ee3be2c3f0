"""Entries of a journal as people and programs see them.

Owns their columns and keys. Must not know how entries are kept or asked for.
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from flyte_host.pipeline.journal import Contents, Entry, Kind
from flyte_host.traceparent import trace_id_of

HEADS = ("ENTRY", "KIND", "PACK", "COMMAND", "ACTION", "STATE", "AGE", "REASON")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
GO_ESCAPE = re.compile(rb"\\\\|\\u00(3c|3e|26)", re.IGNORECASE)
"""An escape of Go's, or an escaped backslash, so that what follows it is left alone."""


def entry_row(entry: Entry, now: datetime) -> dict[str, Any]:
    """The entry for programs."""
    return {
        "entry": entry.name,
        "kind": _kind(entry),
        "pack": entry.pack_key,
        "command": entry.command or None,
        "action": entry.action_id or None,
        "state": entry.state,
        "since": entry.since,
        "age_seconds": round(_age_seconds(entry, now), 3),
        "reason": entry.reason,
    }


def entry_documents(contents: Contents) -> dict[str, Any]:
    """All that the journal has of the entry besides :func:`entry_row`."""
    body = None if contents.body is None else _raw(contents.body)
    trace = trace_id_of(contents.trace) or None
    if contents.entry.kind is Kind.EVENT:
        return {"trace": trace, "event": body}
    return {
        "step": None if contents.step is None else msgspec.Raw(contents.step),
        "trace": trace,
        "taken_at": contents.taken_at,
        "attempt": contents.attempt,
        "replaced": contents.replaced,
        "input": _raw(contents.input or b"null"),
        "result": body,
    }


def _raw(document: bytes) -> msgspec.Raw:
    """``document`` with ``<``, ``>`` and ``&`` as such, which Go escapes."""
    return msgspec.Raw(GO_ESCAPE.sub(_without_escape, document))


def _without_escape(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] is None else bytes.fromhex(found[1].decode())


def entry_cells(entry: Entry, now: datetime) -> tuple[str, ...]:
    """The entry for people, below :data:`HEADS`."""
    return (
        entry.name,
        _kind(entry),
        entry.pack_key,
        entry.command or "-",
        entry.action_id or "-",
        entry.state,
        age_words(_age_seconds(entry, now)),
        entry.reason or "-",
    )


def _kind(entry: Entry) -> str:
    return "event" if entry.kind is Kind.EVENT else "action"


def _age_seconds(entry: Entry, now: datetime) -> float:
    return max(0.0, (now - entry.since).total_seconds())


def age_words(seconds: float) -> str:
    """The age in the largest unit of which there is at least one."""
    size, unit = next((each for each in UNITS if seconds >= each[0]), UNITS[-1])
    return f"{int(seconds // size)} {unit}"
