"""How large a template may be, and the values that its operations get."""

from collections.abc import Mapping
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault

MAX_TEMPLATE = 200_000
"""Characters of a template with tags; one without tags is plain text."""
MAX_PIECES = 1_000
MAX_WORDS = 5_000
MAX_TEXT = 1_000_000
"""Characters that a filter takes or makes."""
MAX_WIDTH = 10_000
"""Characters by which a text is padded."""
MAX_PARTS_TEXT = 100_000
"""Characters for a filter that looks at every word, line, tag or character."""
MAX_ARGUMENT = 10_000
MAX_ITEMS = 20_000
"""Items of a list or map that are visited one by one, or made."""
MAX_MADE_BYTES = 3_000_000
MAX_PATTERN_WORK = 100_000_000
"""Instructions of a pattern times characters of its text: 0.3 s at most."""


def check_size(value: Any, characters: int = MAX_TEXT, what: str = "a filter") -> None:
    """Raise TemplateFault for a text or list that is too large to work on."""
    if isinstance(value, str):
        if len(value) > characters:
            raise TemplateFault(
                f"{what} takes at most {characters:,} characters, not {len(value):,}"
            )
    elif isinstance(value, Mapping | list | tuple) and len(value) > MAX_ITEMS:
        raise TemplateFault(f"{what} takes at most {MAX_ITEMS:,} items, not {len(value):,}")


def check_items(count: int, what: str) -> None:
    """Raise TemplateFault before a list of too many items is made."""
    if count > MAX_ITEMS:
        raise TemplateFault(f"{what} would make {count:,} items; the limit is {MAX_ITEMS:,}")
