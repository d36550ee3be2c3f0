"""The values that a template reads, for people who wonder what it saw.

Owns how they are found and shown. A guess from the template's text: what a template computes is not
among them. Must not know how templates are rendered.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_host.embedded.pongo2 import GoStruct
from flyte_host.text import shown

MOST_VALUES = 5
MOST_CHARACTERS = 100
_PATH = re.compile(r"\b(Event|Context)((?:\.\w+)+)")


def values_read(template: str, variables: Mapping[str, Any]) -> str:
    """``, where Event.Payload.n is 0`` for the values that ``template`` names, or nothing."""
    found = dict(_values(template, variables))
    parts = [f"{path} is {value}" for path, value in list(found.items())[:MOST_VALUES]]
    return f", where {', '.join(parts)}" if parts else ""


def _values(template: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for match in _PATH.finditer(template):
        value: Any = variables.get(match[1])
        for part in match[2].removeprefix(".").split("."):
            value = _member(value, part)
        yield match[0], _shown(value)


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
