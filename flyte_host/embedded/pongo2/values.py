"""Go's values as templates see them: text, truth, numbers and access.

Values are JSON, datetimes and the classes below; nothing here looks at a Python attribute of a
value that came from outside.

Every ``int`` found inside data is a JSON number and therefore a ``float`` (Go's float64); an
``int`` by itself comes from the template (a literal, ``|length``, ``|integer``) and is Go's 64-bit
int. ``7 == 7.0`` is false, as in Go, where values of two types are never equal.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_ITEMS, MAX_WIDTH, check_size
from flyte_host.embedded.pongo2.times import call_method, print_time

_INT_BITS = 64
_LOWEST_INT = -(1 << (_INT_BITS - 1))
_DIGITS, _HEX_DIGITS = r"\d(?:_?\d)*", r"[\da-fA-F](?:_?[\da-fA-F])*"
_DECIMAL = re.compile(
    rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?", re.ASCII
)
_HEXADECIMAL = re.compile(
    rf"[+-]?0[xX]_?(?:{_HEX_DIGITS}\.?(?:{_HEX_DIGITS})?|\.{_HEX_DIGITS})[pP][+-]?{_DIGITS}",
    re.ASCII,
)
_SPECIAL = re.compile(r"[+-]?(inf|infinity)|nan", re.IGNORECASE)
_LONGEST_NUMBER = 400
_HALF_PAIR = re.compile("[\ud800-\udfff]")


class StringMap(dict[str, str]):
    """A map whose values are all strings: in Go, not the type of a JSON object."""


class StringList(list[str]):
    """A list of strings: in Go, not the type of a JSON array."""


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A value with fields, and the name of its type as Go prints it."""

    type_name: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class LoopCounter:
    """pongo2's ``forloop``; its fields are read in any case (``Counter``, ``counter``)."""

    counter: int
    count: int
    parentloop: "LoopCounter | None"

    def get(self, name: str) -> Any:
        fields: dict[str, Any] = {
            "counter": self.counter,
            "counter0": self.counter - 1,
            "revcounter": self.count - self.counter + 1,
            "revcounter0": self.count - self.counter,
            "first": self.counter == 1,
            "last": self.counter == self.count,
            "parentloop": self.parentloop,
        }
        return fields.get(name.lower())


@dataclass(slots=True, eq=False)
class CycleValue:
    """What the name in ``{% cycle … as name %}`` holds: it prints as its current value.

    ``state`` is that of its tag, and ``values`` are what that tag had last.
    """

    state: int
    values: tuple[Any, ...]
    value: Any
    is_silent: bool = field(kw_only=True)

    def move_to(self, turn: int) -> None:
        """Take the value of this turn."""
        value = self.values[turn % len(self.values)]
        # Never another of these, which could lead back here.
        self.value = value.value if isinstance(value, CycleValue) else value


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "string"),
    (bool, "bool"),  # before int: a Python bool is one
    (int, "int"),
    (float, "float64"),
    (type(None), "nil"),
    (Mapping, "map"),
    ((list, tuple), "slice"),
)
_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (StringMap, "map[string]string"),
    (Mapping, "map[string]interface {}"),
    (StringList, "[]string"),
    ((list, tuple), "[]interface {}"),
    (datetime, "time.Time"),
    (LoopCounter, "pongo2.tagForLoopInformation"),
    (CycleValue, "*pongo2.tagCycleValue"),
)


def replace_surrogates(written: str) -> str:
    """Replace lone surrogates, which JSON can have, with U+FFFD, as Go does."""
    if not _HALF_PAIR.search(written):
        return written
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def take_out(value: Any) -> Any:
    """Return a value found in a map or a list, where all numbers are float64."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def kind_of(value: Any) -> str:
    """Return Go's name for the kind of the value's type."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "struct"


def type_of(value: Any) -> str:
    """Return Go's name for the value's type."""
    if isinstance(value, GoStruct):
        return value.type_name
    for types, name in _TYPES:
        if isinstance(value, types):
            return name
    return kind_of(value)


def to_text(value: Any) -> str:
    """Return what ``{{ value }}`` prints."""
    match kind_of(value):
        case "nil":
            return ""
        case "float64":
            return print_float(value, 6)
        case "map" | "slice":
            return f"<{type_of(value)} Value>"
        case "struct":
            return _print_struct(value)
        case _:
            return str(value)


def _print_struct(value: Any) -> str:
    if isinstance(value, CycleValue):
        return to_text(value.value)
    return print_time(value) if isinstance(value, datetime) else f"<{type_of(value)} Value>"


def print_float(number: float, decimals: int) -> str:
    if math.isfinite(number):
        return f"{number:.{decimals}f}"
    return "NaN" if math.isnan(number) else ("+Inf" if number > 0 else "-Inf")


def is_true(value: Any) -> bool:
    return kind_of(value) == "struct" or bool(value)


def is_number(value: Any) -> bool:
    return kind_of(value) in {"int", "float64"}


def to_float(value: Any) -> float:
    """Convert to float64; what is not a number gives 0."""
    match kind_of(value):
        case "int" | "float64":
            return float(value)
        case "string":
            return _parse_float(value)
        case _:
            return 0.0


def to_int(value: Any) -> int:
    """Convert to int, rounding towards zero; what is not a number gives 0."""
    if kind_of(value) == "int":
        return int(value)
    exact = to_float(value)
    return int(exact) if fits_int64(exact) else _LOWEST_INT


def fits_int64(number: float) -> bool:
    return -(2.0**63) <= number < 2.0**63


def wrap_int64(value: int) -> int:
    """Wrap around as a 64-bit int does."""
    return (value - _LOWEST_INT) % (1 << _INT_BITS) + _LOWEST_INT


def _parse_float(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER:
        return 0.0
    if _SPECIAL.fullmatch(digits):
        return float(digits)
    try:
        parsed = _parse_literal(digits)
    except OverflowError:
        return 0.0
    return parsed if math.isfinite(parsed) else 0.0


def _parse_literal(digits: str) -> float:
    if _DECIMAL.fullmatch(digits):
        return float(digits)
    return float.fromhex(digits.replace("_", "")) if _HEXADECIMAL.fullmatch(digits) else 0.0


def length_of(value: Any) -> int:
    return len(value) if kind_of(value) in {"string", "map", "slice"} else 0


def get_field(value: Any, name: str) -> Any:
    """Return ``value.name``; nil for a missing key and for any name of nil."""
    match value:
        case Mapping() | LoopCounter():
            return take_out(value.get(name)) if isinstance(value, Mapping) else value.get(name)
        case GoStruct():
            return take_out(value.fields.get(name))
        case datetime():
            return call_method(value, name, ())
        case CycleValue() | None:
            return None
    raise TemplateFault(f"can't access the field {name!r} by name on type {kind_of(value)}")


def get_index(value: Any, index: int) -> Any:
    """Return ``value.0``; nil past the end. A string gives a byte, as in Go."""
    match kind_of(value):
        case "nil":
            return None
        case "slice":
            return take_out(value[index]) if index < len(value) else None
        case "string":
            # Every character has at least one byte: the first ones are enough.
            encoded = value[: index + 1].encode(errors="replace")
            return encoded[index] if index < len(encoded) else None
        case found:
            raise TemplateFault(f"can't access the index {index} on type {found}")


def pick(value: Any, index: int) -> Any:
    """Return an item of a list (nil past the end) or a character of a string (or empty)."""
    if index < 0:
        raise TemplateFault(f"the index {index} is negative")
    past_end = "" if isinstance(value, str) else None
    return take_out(value[index]) if index < len(value) else past_end


LoopItem = tuple[int, tuple[Any, ...]]


def iterate(value: Any, *, backwards: bool, in_order: bool) -> Iterator[LoopItem]:
    """Yield each turn of a loop: its counter, and ``(item,)`` or, for a map, ``(key, value)``."""
    match kind_of(value):
        case "map":
            yield from enumerate(_iterate_map(value, backwards and in_order), 1)
        case "slice" | "string" if in_order:
            check_size(value, MAX_ITEMS, "sorted")
            found = sorted(map(take_out, value), key=_sort_key, reverse=backwards)
            yield from enumerate(((item,) for item in found), 1)
        case "slice" | "string":
            # A loop that goes backwards counts down, as in pongo2.
            places = range(len(value))
            for place in reversed(places) if backwards else places:
                yield place + 1, (take_out(value[place]),)


def _iterate_map(value: Mapping[str, Any], backwards: bool) -> Iterator[tuple[Any, ...]]:
    check_size(value, what="a loop over a map")
    for key in sorted(value, key=str, reverse=backwards):
        yield key, take_out(value[key])


def _sort_key(value: Any) -> tuple[int, float, str]:
    return (0, to_float(value), "") if is_number(value) else (1, 0.0, to_text(value))


def make_padding(width: int) -> str:
    if width > MAX_WIDTH:
        raise TemplateFault(f"a padding of {width} characters is more than {MAX_WIDTH:,}")
    return " " * width
