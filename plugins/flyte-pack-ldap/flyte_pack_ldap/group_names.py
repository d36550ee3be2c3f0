"""Names of groups from their DNs, as RFC 4514 writes them."""

import re
from collections.abc import Iterator

# Parts end with a comma or a plus sign that is not escaped.
_PART = re.compile(r"(?:\\.|[^\\,+])*", re.DOTALL)
_ESCAPE = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\.", re.DOTALL)


def group_names(values: list[str], attribute: str) -> list[str]:
    """The first part ``<attribute>=…`` from each value that has one."""
    found = (next(_named_parts(each, attribute), None) for each in values)
    return [each for each in found if each is not None]


def _named_parts(value: str, attribute: str) -> Iterator[str]:
    for part in _PART.findall(value):
        name, equals, text = part.partition("=")
        if equals and name.strip().casefold() == attribute.casefold():
            yield _ESCAPE.sub(_unescaped, text.strip())


def _unescaped(found: re.Match[str]) -> str:
    escape = found[0]
    if len(escape) == 2:
        return escape[1]
    return bytes.fromhex(escape.replace("\\", "")).decode(errors="replace")
