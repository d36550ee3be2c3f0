"""pongo2's built-in filters; those for HTML and URLs are in ``template_markup``.

Owns what each makes of its input and argument (None where there is none). Must not know templates
or flyte. A filter returns a value or raises Fault; the caller bounds what strings grow to, so only
those filters look at sizes whose argument multiplies.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.markup import FILTERS as MARKUP
from flyte_host.embedded.pongo2.operators import OPERATORS
from flyte_host.embedded.pongo2.printf import sprintf
from flyte_host.embedded.pongo2.times import formatted
from flyte_host.embedded.pongo2.values import (
    WIDEST,
    Fault,
    at,
    element,
    integer,
    is_number,
    is_true,
    kind,
    length,
    number,
    padding,
    text,
)

Filter = Callable[[Any, Any], Any]

_FINEST = 1000
_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_KEYPAD |= str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


def _can_slice(value: Any) -> bool:
    return kind(value) in {"string", "slice"}


def _add(value: Any, argument: Any) -> Any:
    if is_number(value) and is_number(argument):
        return OPERATORS["+"](value, argument)
    return text(value) + text(argument)


def _capfirst(value: Any, _argument: Any) -> str:
    shown = text(value) if length(value) else ""
    return shown[:1].upper() + shown[1:]


def _center(value: Any, argument: Any) -> Any:
    spaces = integer(argument) - length(value)
    if spaces <= 0:
        return value
    return padding(spaces - spaces // 2) + text(value) + padding(spaces // 2)


def _date(value: Any, argument: Any) -> str:
    if isinstance(value, datetime):
        return formatted(value, text(argument))
    raise Fault(f"date and time need a time, like Event.CreatedAt, not a {kind(value)}")


def _divisibleby(value: Any, argument: Any) -> bool:
    return bool(integer(argument)) and integer(value) % integer(argument) == 0


def _first(value: Any, _argument: Any) -> Any:
    return at(value, 0) if _can_slice(value) and value else ""


def _last(value: Any, _argument: Any) -> Any:
    return at(value, len(value) - 1) if _can_slice(value) and value else ""


def _floatformat(value: Any, argument: Any) -> Any:
    decimals = -1 if argument is None else integer(argument)
    exact = number(value)
    trims = decimals <= 0 or not is_number(argument)
    if trims and math.isfinite(exact) and exact == int(exact):
        return integer(value)
    if abs(decimals) > _FINEST:
        raise Fault(f"floatformat takes at most {_FINEST:,} decimals")
    return f"{exact:.{abs(decimals)}f}"


def _get_digit(value: Any, argument: Any) -> Any:
    digits = text(value).encode(errors="replace")
    place = integer(argument)
    return (digits[-place] - ord("0")) % 256 if 0 < place <= len(digits) else value


def _join(value: Any, argument: Any) -> Any:
    if not _can_slice(value):
        return value
    separator = text(argument)
    if len(separator) * len(value) > WIDEST:
        raise Fault(f"join would make more than {WIDEST:,} characters")
    return separator.join(text(element(item)) for item in value)


def _linenumbers(value: Any, _argument: Any) -> str:
    lines = text(value).split("\n")
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))


def _ljust(value: Any, argument: Any) -> str:
    return text(value) + padding(max(integer(argument) - length(value), 0))


def _rjust(value: Any, argument: Any) -> str:
    shown = text(value)
    return padding(max(integer(argument) - len(shown), 0)) + shown


def _pluralize(value: Any, argument: Any) -> str:
    if not is_number(value):
        raise Fault(f"pluralize needs a number, not a {kind(value)}")
    endings = text(argument).split(",") if length(argument) else ["s"]
    if len(endings) > 2:
        raise Fault("pluralize takes at most two endings")
    singular, plural = ["", *endings][-2:]
    return singular if integer(value) == 1 else plural


def _slice(value: Any, argument: Any) -> Any:
    ends = text(argument).split(":")
    if len(ends) != 2:
        raise Fault("slice takes from:to, either may be left out but not the colon")
    if not _can_slice(value):
        return value
    start, stop = min(integer(ends[0]), len(value)), integer(ends[1])
    if start < 0:
        raise Fault(f"slice cannot begin at {start}")
    return value[start : stop if start <= stop <= len(value) else len(value)]


def _split(value: Any, argument: Any) -> list[str]:
    separator = text(argument)
    return text(value).split(separator) if separator else list(text(value))


def _title(value: Any, _argument: Any) -> str:
    if not isinstance(value, str):
        return ""
    pattern = r"(?<![\w])[^\W\d_]"
    return re.sub(pattern, lambda found: found[0].upper(), value.lower())


def _truncatechars(value: Any, argument: Any) -> str:
    shown, width = text(value), integer(argument)
    if width < 0:
        raise Fault(f"truncatechars cannot keep {width} characters")
    if width >= len(shown):
        return shown
    return f"{shown[: width - 3]}..." if width >= 3 else shown[:width]


def _truncatewords(value: Any, argument: Any) -> str:
    words, most = text(value).split(), integer(argument)
    if most <= 0:
        return ""
    return " ".join([*words[:most], "..."] if most < len(words) else words)


def _wordwrap(value: Any, argument: Any) -> Any:
    words, most = text(value).split(), integer(argument)
    if most <= 0:
        return value
    lines = (words[start : start + most] for start in range(0, len(words), most))
    return "\n".join(" ".join(line) for line in lines)


def _yesno(value: Any, argument: Any) -> str:
    choices = text(argument).split(",") if text(argument) else ["yes", "no", "maybe"]
    if not 2 <= len(choices) <= 3:
        raise Fault(f"yesno takes two or three words, not {len(choices)}")
    yes, no, maybe = [*choices, "maybe"][:3]
    if value is None:
        return maybe
    return yes if is_true(value) else no


def _addslashes(value: Any, _argument: Any) -> str:
    return text(value).replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")


FILTERS: dict[str, Filter] = {
    **MARKUP,
    "add": _add,
    "addslashes": _addslashes,
    "capfirst": _capfirst,
    "center": _center,
    "cut": lambda value, argument: (
        text(value).replace(text(argument), "") if text(argument) else text(value)
    ),
    "date": _date,
    "default": lambda value, argument: value if is_true(value) else argument,
    "default_if_none": lambda value, argument: argument if value is None else value,
    "divisibleby": _divisibleby,
    "first": _first,
    "float": lambda value, _: number(value),
    "floatformat": _floatformat,
    "get_digit": _get_digit,
    "integer": lambda value, _: integer(value),
    "join": _join,
    "last": _last,
    "length": lambda value, _: length(value),
    "length_is": lambda value, argument: length(value) == integer(argument),
    "linenumbers": _linenumbers,
    "ljust": _ljust,
    "lower": lambda value, _: text(value).lower(),
    "make_list": lambda value, _: list(text(value)),
    "phone2numeric": lambda value, _: text(value).translate(_KEYPAD),
    "pluralize": _pluralize,
    "rjust": _rjust,
    "safe": lambda value, _: value,
    "slice": _slice,
    "split": _split,
    "stringformat": lambda value, argument: sprintf(text(argument), value),
    "time": _date,
    "title": _title,
    "truncatechars": _truncatechars,
    "truncatewords": _truncatewords,
    "upper": lambda value, _: text(value).upper(),
    "wordcount": lambda value, _: len(text(value).split()),
    "wordwrap": _wordwrap,
    "yesno": _yesno,
}
