"""pongo2's filters, without those for HTML and URLs.

A filter gets its input and its argument (None if there is none), and returns a value or raises
TemplateFault. The tables at the end limit the length of each filter's input. The caller limits the
result; a filter that can make a long text of a short argument checks that itself.
"""

import random
import re
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.letter_case import to_lower, to_title, to_upper
from flyte_host.embedded.pongo2.limits import (
    MAX_PARTS_TEXT,
    MAX_TEXT,
    check_items,
)
from flyte_host.embedded.pongo2.markup_filters import MARKUP_FILTERS
from flyte_host.embedded.pongo2.operators import OPERATORS
from flyte_host.embedded.pongo2.printf import sprintf
from flyte_host.embedded.pongo2.template_filter import (
    Apply,
    TemplateFilter,
    limit_filters,
)
from flyte_host.embedded.pongo2.times import format_time
from flyte_host.embedded.pongo2.values import (
    StringList,
    fits_int64,
    is_number,
    is_true,
    kind_of,
    length_of,
    make_padding,
    pick,
    print_float,
    take_out,
    to_float,
    to_int,
    to_text,
)

_FINEST = 1000
_GO_SPACES = re.compile(r"[^\S\x1c-\x1f]+")
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
    return to_upper(shown[:1]) + shown[1:]


def _center(value: Any, argument: Any) -> Any:
    spaces = to_int(argument) - length_of(value)
    if spaces <= 0:
        return value
    return make_padding(spaces - spaces // 2) + to_text(value) + make_padding(spaces // 2)


def _cut(value: Any, argument: Any) -> str:
    shown, unwanted = to_text(value), to_text(argument)
    return shown.replace(unwanted, "") if unwanted else shown


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
    if trims and fits_int64(exact) and exact == int(exact):
        return to_int(value)
    if abs(decimals) > _FINEST:
        raise TemplateFault(f"floatformat takes at most {_FINEST:,} decimals")
    return print_float(exact, abs(decimals))


def _get_digit(value: Any, argument: Any) -> Any:
    digits = to_text(value).encode(errors="replace")
    place = to_int(argument)
    return (digits[-place] - ord("0")) % 256 if 0 < place <= len(digits) else value


def _join(value: Any, argument: Any) -> Any:
    if not _can_slice(value):
        return value
    separator = to_text(argument)
    parts: list[str] = []
    characters = -len(separator)
    for item in value:
        parts.append(to_text(take_out(item)))
        characters += len(parts[-1]) + len(separator)
        if characters > MAX_TEXT:
            raise TemplateFault(f"join would make more than {MAX_TEXT:,} characters")
    return separator.join(parts)


def _linenumbers(value: Any, _argument: Any) -> str:
    lines = to_text(value).split("\n")
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))


def _ljust(value: Any, argument: Any) -> str:
    return to_text(value) + make_padding(max(to_int(argument) - length_of(value), 0))


def _rjust(value: Any, argument: Any) -> str:
    shown, width = to_text(value), to_int(argument)
    padding = make_padding(max(abs(width) - len(shown), 0))
    return padding + shown if width >= 0 else shown + padding


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
        raise TemplateFault("slice takes from:to; either number may be left out, but not the colon")
    if not _can_slice(value):
        return value
    start, stop = min(to_int(ends[0]), len(value)), to_int(ends[1])
    if start < 0:
        raise TemplateFault(f"slice cannot begin at {start}")
    # In Go, a slice of a list of strings is one, too.
    kept = value[start : stop if start <= stop <= len(value) else len(value)]
    return StringList(kept) if isinstance(value, StringList) else kept


def _split(value: Any, argument: Any) -> StringList:
    shown, separator = to_text(value), to_text(argument)
    if not separator:
        return _make_list(shown, None)
    check_items(shown.count(separator) + 1, "split")
    return StringList(shown.split(separator))


def _make_list(value: Any, _argument: Any) -> StringList:
    shown = to_text(value)
    check_items(len(shown), "a list of characters")
    return StringList(shown)


def _title(value: Any, _argument: Any) -> str:
    return to_title(value) if isinstance(value, str) else ""


def _truncatechars(value: Any, argument: Any) -> str:
    shown, width = to_text(value), to_int(argument)
    if width < 0:
        raise TemplateFault(f"truncatechars cannot keep {width} characters")
    if width >= len(shown):
        return shown
    return f"{shown[: width - 3]}..." if width >= 3 else shown[:width]


def _truncatewords(value: Any, argument: Any) -> str:
    words, most = _words_of(to_text(value)), to_int(argument)
    if most <= 0:
        return ""
    return " ".join([*words[:most], "..."] if most < len(words) else words)


def _words_of(text: str) -> list[str]:
    """Split into words as Go does: Python takes four more control characters for spaces."""
    return [word for word in _GO_SPACES.split(text) if word]


def _wordwrap(value: Any, argument: Any) -> Any:
    words, most = _words_of(to_text(value)), to_int(argument)
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


_OF_ANY_SIZE: dict[str, Apply] = {
    "default": lambda value, argument: value if is_true(value) else argument,
    "default_if_none": lambda value, argument: argument if value is None else value,
    "divisibleby": _divisibleby,
    "first": _first,
    "float": lambda value, _: to_float(value),
    "floatformat": _floatformat,
    "integer": lambda value, _: to_int(value),
    "last": _last,
    "length": lambda value, _: length_of(value),
    "length_is": lambda value, argument: length_of(value) == to_int(argument),
    "safe": lambda value, _: value,
}
_OF_WHOLE_TEXTS: dict[str, Apply] = {
    "addslashes": _addslashes,
    "capfirst": _capfirst,
    "center": _center,
    "cut": _cut,
    "date": _date,
    "get_digit": _get_digit,
    "join": _join,
    "ljust": _ljust,
    "lower": lambda value, _: to_lower(to_text(value)),
    "phone2numeric": lambda value, _: to_text(value).translate(_KEYPAD),
    "pluralize": _pluralize,
    "rjust": _rjust,
    "slice": _slice,
    "split": _split,
    "stringformat": lambda value, argument: sprintf(to_text(argument), value),
    "time": _date,
    "truncatechars": _truncatechars,
    "upper": lambda value, _: to_upper(to_text(value)),
    "yesno": _yesno,
}
_OF_PARTS: dict[str, Apply] = {
    "linenumbers": _linenumbers,
    "make_list": _make_list,
    "title": _title,
    "truncatewords": _truncatewords,
    "wordcount": lambda value, _: len(_words_of(to_text(value))),
    "wordwrap": _wordwrap,
    **MARKUP_FILTERS,
}
FILTERS: dict[str, TemplateFilter] = (
    limit_filters(_OF_ANY_SIZE, None)
    | {"add": TemplateFilter(_add, MAX_TEXT, MAX_TEXT)}
    | limit_filters(_OF_WHOLE_TEXTS, MAX_TEXT)
    | limit_filters(_OF_PARTS, MAX_PARTS_TEXT)
)


def make_filters(rng: random.Random) -> dict[str, TemplateFilter]:
    """Return all of pongo2's filters; ``rng`` is for ``random``."""

    def choose(value: Any, _argument: Any) -> Any:
        return pick(value, rng.randrange(len(value))) if _can_slice(value) and value else value

    return FILTERS | {"random": TemplateFilter(choose)}
