"""Upper, lower and title case as in Go, where one character becomes one.

Python uses Unicode's full case mapping, which turns ``ß`` into ``SS``. Go uses the simple mapping,
which keeps it.
"""

from collections.abc import Callable


def to_upper(text: str) -> str:
    return text.upper() if text.isascii() else _map(text, _upper)


def to_lower(text: str) -> str:
    return text.lower() if text.isascii() else _map(text, _lower)


def to_title(text: str) -> str:
    """Put the first letter of every word in title case, the others in lower case."""
    lowered = to_lower(text)
    starts = map(_separates, f" {lowered}")
    return "".join(
        _title(one) if start else one for one, start in zip(lowered, starts, strict=False)
    )


def _map(text: str, convert: Callable[[str], str]) -> str:
    return text.translate({ord(one): convert(one) for one in set(text)})


def _upper(one: str) -> str:
    full = one.upper()
    # If the full mapping has several characters, the simple one is the title case, if any.
    return full if len(full) == 1 else _title(one)


def _title(one: str) -> str:
    full = one.title()
    return full if len(full) == 1 else one


def _lower(one: str) -> str:
    full = one.lower()
    return full if len(full) == 1 else full[0]


def _separates(one: str) -> bool:
    # As in Go's strings.Title: beyond ASCII, only spaces separate words.
    if one.isascii():
        return not (one.isalnum() or one == "_")
    return one.isspace()
