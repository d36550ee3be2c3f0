"""Go's values as templates see them: text, truth, numbers and access.

Values are JSON, datetimes and :class:`LoopCounter`; nothing here looks at a Python attribute of a
value that came from outside.

Every ``int`` found inside data is a JSON number and therefore a ``float`` (Go's float64); an
``int`` by itself comes from the template (a literal, ``|length``, ``|integer``) and is Go's 64-bit
int. ``7 == 7.0`` is false, as in Go, where values of two types are never equal.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.times import METHODS, print_time

WIDEST = 1_000_000
"""The widest text that a filter pads or repeats to; Go's own formats stop at the same width."""

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "string"),
    (bool, "bool"),  # before int: a Python bool is one
    (int, "int"),
    (float, "float64"),
    (type(None), "nil"),
    (Mapping, "map"),
    ((list, tuple), "slice"),
)
_INT_BITS = 64
_LOWEST_INT = -(1 << (_INT_BITS - 1))
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_LONGEST_NUMBER = 400


@dataclass(slots=True)
class LoopCounter:
    """pongo2's ``forloop``; its fields are read in any case (``Counter``, ``counter``)."""

    counter: int
    count: int
    parentloop: "LoopCounter | None"

    def field(self, name: str) -> Any:
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


def replace_surrogates(written: str) -> str:
    """Replace half surrogate pairs, which JSON can have, by U+FFFD, as Go does."""
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def take_out(value: Any) -> Any:
    """Return a value as it leaves a map or a list: its numbers are float64."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def kind_of(value: Any) -> str:
    """Return Go's name for the value's type."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "struct"


def to_text(value: Any) -> str:
    """Return what ``{{ value }}`` prints."""
    match kind_of(value):
        case "nil":
            return ""
        case "float64":
            return print_float(value, 6)
        case "map":
            return "<map[string]interface {} Value>"
        case "slice":
            return "<[]interface {} Value>"
        case "struct":
            return print_time(value) if isinstance(value, datetime) else "<struct Value>"
        case _:
            return str(value)


def print_float(number: float, decimals: int) -> str:
    if math.isfinite(number):
        return f"{number:.{decimals}f}"
    return "NaN" if math.isnan(number) else ("+Inf" if number > 0 else "-Inf")


def is_true(value: Any) -> bool:
    return isinstance(value, datetime | LoopCounter) or bool(value)


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
    """Convert to int, towards zero; what is not a number gives 0."""
    if kind_of(value) == "int":
        return int(value)
    exact = to_float(value)
    return wrap_int64(int(exact)) if -(2.0**63) <= exact < 2.0**63 else _LOWEST_INT


def wrap_int64(value: int) -> int:
    """Wrap around as a 64-bit int does."""
    return (value - _LOWEST_INT) % (1 << _INT_BITS) + _LOWEST_INT


def _parse_float(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER:
        return 0.0
    if _SPECIAL.fullmatch(digits):
        return float(digits)
    parsed = float(digits) if _DECIMAL.fullmatch(digits) else 0.0
    return parsed if math.isfinite(parsed) else 0.0


def length_of(value: Any) -> int:
    return len(value) if kind_of(value) in {"string", "map", "slice"} else 0


def get_field(value: Any, name: str) -> Any:
    """Return ``value.name``; nil for a missing key and for any name of nil."""
    if isinstance(value, Mapping):
        return take_out(value.get(name))
    if isinstance(value, LoopCounter):
        return value.field(name)
    if isinstance(value, datetime):
        return METHODS[name](value) if name in METHODS else None
    if value is None:
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
            encoded = value.encode(errors="replace")
            return encoded[index] if index < len(encoded) else None
        case found:
            raise TemplateFault(f"can't access the index {index} on type {found}")


def pick(value: Any, index: int) -> Any:
    """Return an item of a list (nil past the end) or a character of a string (or empty)."""
    if index < 0:
        raise TemplateFault(f"the index {index} is negative")
    past_end = "" if isinstance(value, str) else None
    return take_out(value[index]) if index < len(value) else past_end


def iterate(value: Any, *, backwards: bool, in_order: bool) -> Iterator[tuple[Any, ...]]:
    """Yield what a loop meets: ``(item,)`` of a list or string, ``(key, value)`` of a map."""
    match kind_of(value):
        case "map":
            keys = sorted(value, key=str)
            for key in reversed(keys) if backwards and in_order else keys:
                yield key, take_out(value[key])
        case "slice" | "string":
            found = [take_out(item) for item in value]
            ordered = sorted(found, key=_sort_key) if in_order else found
            for item in reversed(ordered) if backwards else ordered:
                yield (item,)
        case _:
            return


def _sort_key(value: Any) -> tuple[int, float, str]:
    return (0, to_float(value), "") if is_number(value) else (1, 0.0, to_text(value))


def make_padding(width: int) -> str:
    if width > WIDEST:
        raise TemplateFault(f"a width of {width} is more than {WIDEST:,}")
    return " " * width
