"""Regular expressions in RE2's syntax and RE2's linear time.

A template's pattern meets an event's text nowhere else. Python's own engine would not do: a
pattern like ``(a+)+$`` keeps it busy forever, and nothing can interrupt it.
"""

from collections.abc import Callable
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.values import replace_surrogates

_MEMORY_BYTES = 1 << 20
_MOST_PATTERN = 10_000


class PatternFault(TemplateFault):
    """A pattern that RE2 refuses; the text says why."""


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    if len(pattern) > _MOST_PATTERN:
        raise PatternFault(f"it is longer than {_MOST_PATTERN:,} characters")
    try:
        return re2.compile(replace_surrogates(pattern), options)
    except re2.error as error:
        why = error.args[0]
        raise PatternFault(
            why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        ) from None


def search(pattern: str, text: str) -> tuple[str, ...] | None:
    """Return the whole match and its groups, empty if they matched nothing; None for no match.

    Raises PatternFault.
    """
    found = _compile(pattern).search(replace_surrogates(text))
    return None if found is None else (found[0], *(group or "" for group in found.groups()))


def replace_matches(pattern: str, replacement: str | Callable[[Any], str], text: str) -> str:
    """Replace every match. Raises PatternFault."""
    made: str = _compile(pattern).sub(replacement, replace_surrogates(text))
    return made
