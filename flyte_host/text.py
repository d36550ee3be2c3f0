"""Foreign text and values in sentences for people: short, on one line, printable."""

import difflib
import json
from collections.abc import Iterable
from typing import Any

LONGEST_SHOWN = 60
LARGEST_SHOWN = 10**18


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)`` for the name that was probably meant, or nothing."""
    by_lower = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), by_lower, n=1)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""


def quoted(text: str) -> str:
    """``text`` as one short line in quotes."""
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return json.dumps(short, ensure_ascii=not text.isprintable())


def shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case int() if abs(value) >= LARGEST_SHOWN:
            return "a number of many digits"
        case _:
            return str(value)


def printable(text: str) -> str:
    """``text`` with lone surrogates, which no JSON can carry, as escapes that people can read."""
    return text.encode(errors="backslashreplace").decode()


def reason(error: Exception) -> str:
    """Why a file cannot be read, without the path."""
    return getattr(error, "strerror", None) or str(error)
