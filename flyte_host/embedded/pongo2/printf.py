"""Go's ``fmt.Sprintf`` with one argument, for pongo2's ``stringformat``."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.values import WIDEST, kind_of, take_out, to_text

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<verb>.|$)", re.DOTALL
)
_FINEST = 1000
_DEEPEST = 20
_INT_VERBS = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X", "c": "c", "v": "d"}
_FLOAT_VERBS = "feEgGFv"
_STRING_VERBS = "svqxX"


def sprintf(form: str, value: Any) -> str:
    """Fill the first verb of ``form`` with ``value``; what does not fit shows as in Go."""
    used = False

    def fill(found: re.Match[str]) -> str:
        nonlocal used
        if found["verb"] == "%":
            return "%"
        if not found["verb"]:
            return "%!(NOVERB)"
        if used:
            return f"%!{found['verb']}(MISSING)"
        used = True
        return _format_verb(found, value)

    written = _VERB.sub(fill, form)
    return written if used else f"{written}%!(EXTRA {_print_typed(value)})"


def _format_verb(found: re.Match[str], value: Any) -> str:
    flags, verb = found["flags"], found["verb"]
    width = _read_bounded(found["width"] or "0", WIDEST, "width")
    precision = found["precision"]
    digits = None if precision is None else _read_bounded(precision or "0", _FINEST, "precision")
    body = _format_body(verb, flags, digits, value)
    if body is None:
        return f"%!{verb}({_print_typed(value)})"
    if "-" in flags:
        return body.ljust(width)
    if "0" in flags and kind_of(value) in {"int", "float64"}:
        sign = body[:1] if body[:1] in {"+", "-", " "} else ""
        return sign + body[len(sign) :].rjust(width - len(sign), "0")
    return body.rjust(width)


def _read_bounded(digits: str, limit: int, what: str) -> int:
    if len(digits) > len(str(limit)) or int(digits) > limit:
        raise TemplateFault(f"a {what} of {digits[:20]} is more than {limit:,}")
    return int(digits)


def _format_body(verb: str, flags: str, digits: int | None, value: Any) -> str | None:
    """Format the value without padding; None if the verb does not take it."""
    match kind_of(value):
        case "int" if verb in _INT_VERBS:
            return _format_int(verb, flags, digits, value)
        case "float64" if verb in _FLOAT_VERBS:
            return _add_sign(_format_float(verb, digits, value), flags)
        case "string" if verb in _STRING_VERBS:
            return _format_string(verb, digits, value)
        case "bool" if verb in {"t", "v"}:
            return str(value).lower()
        case _:
            return print_value(value) if verb == "v" else None


def _format_int(verb: str, flags: str, digits: int | None, value: int) -> str | None:
    if verb == "c":
        return chr(value) if 0 <= value < 0x110000 else "\ufffd"
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
    body = f"{abs(value):{_INT_VERBS[verb]}}".rjust(digits or 0, "0")
    return _add_sign(("-" if value < 0 else "") + prefix + body, flags)


def _format_float(verb: str, digits: int | None, value: float) -> str:
    if not math.isfinite(value):
        return to_text(value).removeprefix("+")
    if verb in "gGv" and digits is None:
        shortest = _format_shortest(value)
        return shortest.upper() if verb == "G" else shortest
    if verb in "gG":
        return f"{value:.{digits or 1}{verb}}"
    return f"{value:.{6 if digits is None else digits}{verb if verb != 'v' else 'g'}}"


def _format_shortest(value: float) -> str:
    """Format a float as Go's ``%v``: the digits it needs, an exponent from a million up."""
    decimal = Decimal(repr(value)).normalize()
    _, digits, _ = decimal.as_tuple()
    power = decimal.adjusted() if value else 0
    if -5 < power < 6:
        return f"{value:.{max(len(digits) - 1 - power, 0)}f}"
    return f"{decimal:.{len(digits) - 1}e}".partition("e")[0] + f"e{power:+03}"


def _add_sign(body: str, flags: str) -> str:
    if body.startswith("-"):
        return body
    return ("+" if "+" in flags else " " if " " in flags else "") + body


def _format_string(verb: str, digits: int | None, value: str) -> str:
    match verb:
        case "q":
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case "x" | "X":
            shown = value.encode(errors="replace").hex()
            return shown.upper() if verb == "X" else shown
        case _:
            return value if digits is None else value[:digits]


def print_value(value: Any, depth: int = 0) -> str:
    """Print any value as Go's ``%v``: ``map[a:1 b:[x y]]``."""
    if depth > _DEEPEST:
        raise TemplateFault(f"a value nested deeper than {_DEEPEST} cannot be printed")
    if isinstance(value, Mapping):
        pairs = (
            f"{key}:{print_value(take_out(value[key]), depth + 1)}"
            for key in sorted(value, key=str)
        )
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(print_value(take_out(item), depth + 1) for item in value)}]"
    match kind_of(value):
        case "nil":
            return "<nil>"
        case "bool":
            return str(value).lower()
        case "float64":
            return _format_float("v", None, value)
        case _:
            return to_text(value)


def _print_typed(value: Any) -> str:
    if value is None:
        return "<nil>"
    names = {"map": "map[string]interface {}", "slice": "[]interface {}", "struct": "time.Time"}
    return f"{names.get(kind_of(value), kind_of(value))}={print_value(value)}"
