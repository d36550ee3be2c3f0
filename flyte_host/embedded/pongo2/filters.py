"""pongo2's filters, without those for HTML and URLs.

A filter is given its input and its argument (None where there is none), and returns a value or
raises TemplateFault. The caller bounds how long a text may grow; a filter looks at sizes itself
where its argument multiplies.
"""

import math
import random
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.markup_filters import MARKUP_FILTERS
from flyte_host.embedded.pongo2.operators import OPERATORS
from flyte_host.embedded.pongo2.printf import sprintf
from flyte_host.embedded.pongo2.times import format_time
from flyte_host.embedded.pongo2.values import (
    WIDEST,
    is_number,
    is_true,
    kind_of,
    length_of,
    make_padding,
    pick,
    take_out,
    to_float,
    to_int,
    to_text,
)

Filter = Callable[[Any, Any], Any]

_FINEST = 1000
_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_KEYPAD |= str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


def _can_slice(value: Any) -> bool:
    return kind_of(value) in {"string", "slice"}


def _add(value: Any, argument: Any) -> Any:
    if is_number(value) and is_number(argument):
        return OPERATORS["+"](value, argument)
    return to_text(value) + to_text(argument)


def _capfirst(value: Any, _argument: Any) -> str:
    shown = to_text(value) if length_of(value) else ""
    return shown[:1].upper() + shown[1:]


def _center(value: Any, argument: Any) -> Any:
    spaces = to_int(argument) - length_of(value)
    if spaces <= 0:
        return value
    return make_padding(spaces - spaces // 2) + to_text(value) + make_padding(spaces // 2)


def _date(value: Any, argument: Any) -> str:
    if isinstance(value, datetime):
        return format_time(value, to_text(argument))
    raise TemplateFault(f"date and time need a time, like Event.CreatedAt, not a {kind_of(value)}")


def _divisibleby(value: Any, argument: Any) -> bool:
    return bool(to_int(argument)) and to_int(value) % to_int(argument) == 0


def _first(value: Any, _argument: Any) -> Any:
    return pick(value, 0) if _can_slice(value) and value else ""


def _last(value: Any, _argument: Any) -> Any:
    return pick(value, len(value) - 1) if _can_slice(value) and value else ""


def _floatformat(value: Any, argument: Any) -> Any:
    decimals = -1 if argument is None else to_int(argument)
    exact = to_float(value)
    trims = decimals <= 0 or not is_number(argument)
    if trims and math.isfinite(exact) and exact == int(exact):
        return to_int(value)
    if abs(decimals) > _FINEST:
        raise TemplateFault(f"floatformat takes at most {_FINEST:,} decimals")
    return f"{exact:.{abs(decimals)}f}"


def _get_digit(value: Any, argument: Any) -> Any:
    digits = to_text(value).encode(errors="replace")
    place = to_int(argument)
    return (digits[-place] - ord("0")) % 256 if 0 < place <= len(digits) else value


def _join(value: Any, argument: Any) -> Any:
    if not _can_slice(value):
        return value
    separator = to_text(argument)
    if len(separator) * len(value) > WIDEST:
        raise TemplateFault(f"join would make more than {WIDEST:,} characters")
    return separator.join(to_text(take_out(item)) for item in value)


def _linenumbers(value: Any, _argument: Any) -> str:
    lines = to_text(value).split("\n")
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))


def _ljust(value: Any, argument: Any) -> str:
    return to_text(value) + make_padding(max(to_int(argument) - length_of(value), 0))


def _rjust(value: Any, argument: Any) -> str:
    shown = to_text(value)
    return make_padding(max(to_int(argument) - len(shown), 0)) + shown


def _pluralize(value: Any, argument: Any) -> str:
    if not is_number(value):
        raise TemplateFault(f"pluralize needs a number, not a {kind_of(value)}")
    endings = to_text(argument).split(",") if length_of(argument) else ["s"]
    if len(endings) > 2:
        raise TemplateFault("pluralize takes at most two endings")
    singular, plural = ["", *endings][-2:]
    return singular if to_int(value) == 1 else plural


def _slice(value: Any, argument: Any) -> Any:
    ends = to_text(argument).split(":")
    if len(ends) != 2:
        raise TemplateFault("slice takes from:to, either may be left out but not the colon")
    if not _can_slice(value):
        return value
    start, stop = min(to_int(ends[0]), len(value)), to_int(ends[1])
    if start < 0:
        raise TemplateFault(f"slice cannot begin at {start}")
    return value[start : stop if start <= stop <= len(value) else len(value)]


def _split(value: Any, argument: Any) -> list[str]:
    separator = to_text(argument)
    return to_text(value).split(separator) if separator else list(to_text(value))


def _title(value: Any, _argument: Any) -> str:
    if not isinstance(value, str):
        return ""
    pattern = r"(?<![\w])[^\W\d_]"
    return re.sub(pattern, lambda found: found[0].upper(), value.lower())


def _truncatechars(value: Any, argument: Any) -> str:
    shown, width = to_text(value), to_int(argument)
    if width < 0:
        raise TemplateFault(f"truncatechars cannot keep {width} characters")
    if width >= len(shown):
        return shown
    return f"{shown[: width - 3]}..." if width >= 3 else shown[:width]


def _truncatewords(value: Any, argument: Any) -> str:
    words, most = to_text(value).split(), to_int(argument)
    if most <= 0:
        return ""
    return " ".join([*words[:most], "..."] if most < len(words) else words)


def _wordwrap(value: Any, argument: Any) -> Any:
    words, most = to_text(value).split(), to_int(argument)
    if most <= 0:
        return value
    lines = (words[start : start + most] for start in range(0, len(words), most))
    return "\n".join(" ".join(line) for line in lines)


def _yesno(value: Any, argument: Any) -> str:
    choices = to_text(argument).split(",") if to_text(argument) else ["yes", "no", "maybe"]
    if not 2 <= len(choices) <= 3:
        raise TemplateFault(f"yesno takes two or three words, not {len(choices)}")
    yes, no, maybe = [*choices, "maybe"][:3]
    if value is None:
        return maybe
    return yes if is_true(value) else no


def _addslashes(value: Any, _argument: Any) -> str:
    return to_text(value).replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")


FILTERS: dict[str, Filter] = {
    **MARKUP_FILTERS,
    "add": _add,
    "addslashes": _addslashes,
    "capfirst": _capfirst,
    "center": _center,
    "cut": lambda value, argument: (
        to_text(value).replace(to_text(argument), "") if to_text(argument) else to_text(value)
    ),
    "date": _date,
    "default": lambda value, argument: value if is_true(value) else argument,
    "default_if_none": lambda value, argument: argument if value is None else value,
    "divisibleby": _divisibleby,
    "first": _first,
    "float": lambda value, _: to_float(value),
    "floatformat": _floatformat,
    "get_digit": _get_digit,
    "integer": lambda value, _: to_int(value),
    "join": _join,
    "last": _last,
    "length": lambda value, _: length_of(value),
    "length_is": lambda value, argument: length_of(value) == to_int(argument),
    "linenumbers": _linenumbers,
    "ljust": _ljust,
    "lower": lambda value, _: to_text(value).lower(),
    "make_list": lambda value, _: list(to_text(value)),
    "phone2numeric": lambda value, _: to_text(value).translate(_KEYPAD),
    "pluralize": _pluralize,
    "rjust": _rjust,
    "safe": lambda value, _: value,
    "slice": _slice,
    "split": _split,
    "stringformat": lambda value, argument: sprintf(to_text(argument), value),
    "time": _date,
    "title": _title,
    "truncatechars": _truncatechars,
    "truncatewords": _truncatewords,
    "upper": lambda value, _: to_text(value).upper(),
    "wordcount": lambda value, _: len(to_text(value).split()),
    "wordwrap": _wordwrap,
    "yesno": _yesno,
}


def make_filters(rng: random.Random) -> dict[str, Filter]:
    """Return all of pongo2's filters; ``rng`` is for ``random``."""

    def choose(value: Any, _argument: Any) -> Any:
        return pick(value, rng.randrange(len(value))) if _can_slice(value) and value else value

    return FILTERS | {"random": choose}
