"""Regular expressions in RE2's syntax and RE2's linear time.

Owns the only way in which a template's pattern meets an event's text. Python's own engine would
not do: a pattern like ``(a+)+$`` keeps it busy for ever, and nothing can interrupt it. Must not
know templates.
"""

from collections.abc import Callable
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from flyte_host.embedded.pongo2.values import Fault, well_formed

_MEMORY_BYTES = 1 << 20
_MOST_PATTERN = 10_000


class BadPattern(Fault):
    """No RE2 pattern; the text says why."""


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    if len(pattern) > _MOST_PATTERN:
        raise BadPattern(f"it is longer than {_MOST_PATTERN:,} characters")
    try:
        return re2.compile(well_formed(pattern), options)
    except re2.error as error:
        why = error.args[0]
        raise BadPattern(
            why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        ) from None


def search(pattern: str, text: str) -> tuple[str, ...] | None:
    """The whole match and its groups (empty where a group has no part); None without a match.

    Raises BadPattern.
    """
    found = _compiled(pattern).search(well_formed(text))
    return None if found is None else (found[0], *(group or "" for group in found.groups()))


def replaced(pattern: str, replacement: str | Callable[[Any], str], text: str) -> str:
    """Every match replaced. Raises BadPattern."""
    made: str = _compiled(pattern).sub(replacement, well_formed(text))
    return made
