"""Regular expressions in RE2's syntax and RE2's linear time.

Flow authors write the patterns, and events bring the text. Python's own engine would not do: a
pattern like ``(a+)+$`` keeps it busy forever, and nothing can interrupt it. RE2 takes, at worst,
the size of the compiled pattern times the length of the text, and as much again for each group.
That product is limited.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from flyte_host.embedded.pongo2.faults import PatternFault, TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_ARGUMENT, MAX_PATTERN_WORK
from flyte_host.embedded.pongo2.values import replace_surrogates

_MEMORY_BYTES = 1 << 20
_CACHED = 32
_SHORTEST = 1000
_HAS_BYTE = re.compile(r"(?:[^\\]|\\[^CQ]|(?>\\Q.*?(?:\\E|\Z)))*+\\C", re.DOTALL)
"""RE2 has ``\\C`` for a byte, which may be part of a character; Go's own engine does not."""


@lru_cache(maxsize=_CACHED)
def _compile(pattern: str, *, captures: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = _MEMORY_BYTES
    if len(pattern) > MAX_ARGUMENT:
        raise PatternFault(f"it is longer than {MAX_ARGUMENT:,} characters")
    if _HAS_BYTE.match(pattern):
        raise PatternFault("invalid escape sequence: \\C")
    try:
        return re2.compile(replace_surrogates(pattern), options)
    except re2.error as error:
        why = error.args[0]
        raise PatternFault(
            why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        ) from None
    finally:
        # It caches the last 128 patterns; a megabyte for each is more than they are worth.
        re2.purge()


def _compile_for(pattern: str, text: str, *, captures: bool = True) -> Any:
    compiled = _compile(pattern, captures=captures)
    # What a search keeps for its groups does not depend on the text, so a short one counts, too.
    steps = compiled.programsize * (1 + compiled.groups) * max(len(text), _SHORTEST)
    if steps > MAX_PATTERN_WORK:
        raise TemplateFault(
            f"a pattern of this size on {len(text):,} characters may take {steps:,} steps; the"
            f" limit is {MAX_PATTERN_WORK:,}"
        )
    return compiled


def find_match(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere. Raises PatternFault."""
    compiled = _compile_for(pattern, text, captures=False)
    return compiled.search(replace_surrogates(text)) is not None


def find_group(pattern: str, text: str) -> str | None:
    """Return the first group, empty if it matched nothing; None for no match or no group.

    Raises PatternFault.
    """
    compiled = _compile_for(pattern, text)
    found = compiled.search(replace_surrogates(text))
    return found[1] or "" if found and compiled.groups else None


def replace_matches(pattern: str, replace: Callable[[Any], str], text: str) -> str:
    """Replace every match. Raises PatternFault."""
    made: str = _compile_for(pattern, text).sub(replace, replace_surrogates(text))
    return made
