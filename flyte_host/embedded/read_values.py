"""The values that a template reads, for people who wonder what it saw.

Owns how they are found and shown. It guesses from the template's text and leaves out what a
template computes. Must not know how templates are rendered.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from flyte_host.embedded.pongo2 import GoStruct
from flyte_host.text import shown

MOST_VALUES = 5
MOST_CHARACTERS = 100
_PATH = re.compile(r"\b(Event|Context)((?:\.\w+)+)")


def values_read(template: str, variables: Mapping[str, Any]) -> str:
    """``, where Event.Payload.n is 0`` for the values that ``template`` names, or nothing."""
    parts = [f"{path} is {value}" for path, value in _values(template, variables)]
    return f", where {', '.join(parts)}" if parts else ""


@lru_cache(maxsize=1024)
def _paths(template: str) -> Mapping[str, Sequence[str]]:
    """The parts of the first paths in a template; cached, since an event may need them often."""
    texts = dict.fromkeys(match[0] for match in _PATH.finditer(template))
    return {text: text.split(".") for text in islice(texts, MOST_VALUES)}


def _values(template: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path, (first, *parts) in _paths(template).items():
        value: Any = variables.get(first)
        for part in parts:
            value = value.get(part) if type(value) is dict else _member(value, part)
        yield path, _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float | int) and not isinstance(value, bool):
        # As in Go: a number of a payload is a float, and no float equals 1 in a template.
        return f"{float(value):g}, a float"
    return shown(value)[:MOST_CHARACTERS]


def _member(value: Any, name: str) -> Any:
    if isinstance(value, GoStruct):
        value = value.fields
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return None
