"""Go's values as templates see them: text, truth, numbers and access.

Owns what an index, a name or ``{{ x }}`` makes of a value, as pongo2 does it. Must not know
templates, filters or events. Values are JSON, datetimes and :class:`Loop`; nothing here ever looks
at a Python attribute of one.

Numbers: every ``int`` found inside data is a JSON number and therefore a ``float`` (Go's float64);
an ``int`` of its own comes from the template (a literal, ``|length``, ``|integer``) and is Go's
64-bit int. ``7 == 7.0`` is false, as in Go, where a comparison asks for the same type first.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.times import METHODS, time_text

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


class Fault(ValueError):
    """What a template does wrong, in words for its writer."""


@dataclass(slots=True)
class Loop:
    """pongo2's ``forloop``; its fields are read in any case (``Counter``, ``counter``)."""

    counter: int
    count: int
    parentloop: "Loop | None"

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


def well_formed(written: str) -> str:
    """The text as Go reads it: half a surrogate pair, which JSON can have, is U+FFFD."""
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def element(value: Any) -> Any:
    """A value as it leaves a map or a list: its numbers are float64."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def kind(value: Any) -> str:
    """Go's name for the type, as its messages have it."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "struct"


def text(value: Any) -> str:
    """What ``{{ value }}`` prints."""
    match kind(value):
        case "nil":
            return ""
        case "float64":
            return float_text(value, 6)
        case "map":
            return "<map[string]interface {} Value>"
        case "slice":
            return "<[]interface {} Value>"
        case "struct":
            return time_text(value) if isinstance(value, datetime) else "<struct Value>"
        case _:
            return str(value)


def float_text(number: float, decimals: int) -> str:
    if math.isfinite(number):
        return f"{number:.{decimals}f}"
    return "NaN" if math.isnan(number) else ("+Inf" if number > 0 else "-Inf")


def is_true(value: Any) -> bool:
    return isinstance(value, datetime | Loop) or bool(value)


def is_number(value: Any) -> bool:
    return kind(value) in {"int", "float64"}


def number(value: Any) -> float:
    """The value as float64; 0 for what is no number."""
    match kind(value):
        case "int" | "float64":
            return float(value)
        case "string":
            return _parsed(value)
        case _:
            return 0.0


def integer(value: Any) -> int:
    """The value as int, cut towards zero; 0 for what is no number."""
    if kind(value) == "int":
        return int(value)
    exact = number(value)
    return int64(int(exact)) if -(2.0**63) <= exact < 2.0**63 else _LOWEST_INT


def int64(value: int) -> int:
    """The value as a 64-bit int has it: wrapped."""
    return (value - _LOWEST_INT) % (1 << _INT_BITS) + _LOWEST_INT


def _parsed(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER:
        return 0.0
    if _SPECIAL.fullmatch(digits):
        return float(digits)
    parsed = float(digits) if _DECIMAL.fullmatch(digits) else 0.0
    return parsed if math.isfinite(parsed) else 0.0


def length(value: Any) -> int:
    return len(value) if kind(value) in {"string", "map", "slice"} else 0


def by_name(value: Any, name: str) -> Any:
    """``value.name``: nil of nil and for a key that is not there."""
    if isinstance(value, Mapping):
        return element(value.get(name))
    if isinstance(value, Loop):
        return value.field(name)
    if isinstance(value, datetime):
        return METHODS[name](value) if name in METHODS else None
    if value is None:
        return None
    raise Fault(f"can't access the field {name!r} by name on type {kind(value)}")


def by_index(value: Any, index: int) -> Any:
    """``value.0``: nil past the end; of a string its byte, as in Go."""
    match kind(value):
        case "nil":
            return None
        case "slice":
            return element(value[index]) if index < len(value) else None
        case "string":
            encoded = value.encode(errors="replace")
            return encoded[index] if index < len(encoded) else None
        case found:
            raise Fault(f"can't access the index {index} on type {found}")


def at(value: Any, index: int) -> Any:
    """An item of a list (nil past the end) or a character of a string (empty past the end)."""
    if index < 0:
        raise Fault(f"the index {index} is negative")
    past_end = "" if isinstance(value, str) else None
    return element(value[index]) if index < len(value) else past_end


def items(value: Any, *, backwards: bool, in_order: bool) -> Iterator[tuple[Any, ...]]:
    """What a loop meets: ``(item,)`` of a list or string, ``(key, value)`` of a map by key."""
    match kind(value):
        case "map":
            keys = sorted(value, key=str)
            for key in reversed(keys) if backwards and in_order else keys:
                yield key, element(value[key])
        case "slice" | "string":
            found = [element(item) for item in value]
            ordered = sorted(found, key=_order) if in_order else found
            for item in reversed(ordered) if backwards else ordered:
                yield (item,)
        case _:
            return


def _order(value: Any) -> tuple[int, float, str]:
    return (0, number(value), "") if is_number(value) else (1, 0.0, text(value))


def padding(width: int) -> str:
    if width > WIDEST:
        raise Fault(f"a width of {width} is more than {WIDEST:,}")
    return " " * width
