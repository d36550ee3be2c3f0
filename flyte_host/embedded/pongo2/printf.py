"""Go's ``fmt.Sprintf`` with one argument, for pongo2's ``stringformat``."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import (
    MAX_ITEMS,
    MAX_PARTS_TEXT,
    MAX_TEXT,
    MAX_WIDTH,
    check_size,
)
from flyte_host.embedded.pongo2.values import GoStruct, kind_of, take_out, to_text, type_of

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<verb>.|$)", re.DOTALL
)
_FINEST = 1000
_DEEPEST = 20
_MOST_PARTS = 4 * MAX_ITEMS
_ESCAPES = {
    **dict(zip("\a\b\f\n\r\t\v", (f"\\{one}" for one in "abfnrtv"), strict=True)),
    '"': '\\"',
    "\\": "\\\\",
}
_INT_VERBS = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X", "c": "c", "v": "d"}
_FLOAT_VERBS = "feEgGFv"
_STRING_VERBS = "svqxX"


def sprintf(form: str, value: Any) -> str:
    """Fill the first verb of ``form`` with ``value``; a mismatch shows as in Go."""
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
    if used:
        return written
    extra = "<nil>" if value is None else f"{type_of(value)}={print_value(value)}"
    return f"{written}%!(EXTRA {extra})"


def _format_verb(found: re.Match[str], value: Any) -> str:
    flags, verb = found["flags"], found["verb"]
    width = _read_bounded(found["width"] or "0", MAX_WIDTH, "width")
    precision = found["precision"]
    digits = None if precision is None else _read_bounded(precision or "0", _FINEST, "precision")
    if verb == "T":
        body: str | None = "<nil>" if value is None else type_of(value)
    else:
        body = _format_body(verb, flags, digits, value)
    if body is not None:
        return _pad(body, flags, width)
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_of(value)}={_pad(print_value(value), flags, width)})"


def _pad(body: str, flags: str, width: int) -> str:
    if "-" in flags:
        return body.ljust(width)
    if "0" not in flags or body in {"Inf", "+Inf", "-Inf", "NaN"}:
        return body.rjust(width)
    # Go pads everything with zeros, texts too.
    sign = body[:1] if body[:1] in {"+", "-", " "} else ""
    return sign + body[len(sign) :].rjust(width - len(sign), "0")


def _read_bounded(digits: str, limit: int, what: str) -> int:
    if len(digits) > len(str(limit)) or int(digits) > limit:
        raise TemplateFault(f"a {what} of {digits[:20]} is more than {limit:,}")
    return int(digits)


def _format_body(verb: str, flags: str, digits: int | None, value: Any) -> str | None:
    """Format the value without padding; None if the verb does not take it."""
    if verb == "v" and "#" in flags:
        return print_value(value, in_go_syntax=True)
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
            return _quote(value if digits is None else value[:digits])
        case "x" | "X":
            shown = value.encode(errors="replace").hex()
            return shown.upper() if verb == "X" else shown
        case _:
            return value if digits is None else value[:digits]


def _quote(text: str) -> str:
    """Quote a text as Go's ``strconv.Quote``."""
    check_size(text, MAX_PARTS_TEXT, "a quoted text")
    return '"' + "".join(_escape(one) for one in text) + '"'


def _escape(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    code = ord(one)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def print_value(value: Any, *, in_go_syntax: bool = False) -> str:
    """Print any value as Go's ``%v``, like ``map[a:1 b:[x y]]``, or as its ``%#v``."""
    writer = _ValueWriter(in_go_syntax=in_go_syntax)
    writer.write(value, depth=0)
    return "".join(writer.parts)


class _ValueWriter:
    """Collects the parts of a printed value, and fails when there are too many."""

    def __init__(self, *, in_go_syntax: bool) -> None:
        self.parts: list[str] = []
        self._in_go_syntax = in_go_syntax
        self._characters = 0

    def write(self, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise TemplateFault(f"a value nested deeper than {_DEEPEST} cannot be printed")
        match value:
            case Mapping():
                check_size(value, what="stringformat")
                pairs = [(str(key), value[key]) for key in sorted(value, key=str)]
                self._write_all("map", pairs, value, depth)
            case GoStruct():
                self._write_struct(value, depth)
            case list() | tuple():
                check_size(value, what="stringformat")
                self._write_all("", [("", item) for item in value], value, depth)
            case _:
                self._add(self._print_scalar(value, depth))

    def _write_all(self, name: str, pairs: list[tuple[str, Any]], value: Any, depth: int) -> None:
        opening, separator, closing = (
            (f"{type_of(value)}{{", ", ", "}") if self._in_go_syntax else (f"{name}[", " ", "]")
        )
        self._add(opening)
        for place, (key, item) in enumerate(pairs):
            if place:
                self._add(separator)
            if name:
                self._add(f"{_quote(key) if self._in_go_syntax else key}:")
            self.write(take_out(item), depth + 1)
        self._add(closing)

    def _write_struct(self, value: GoStruct, depth: int) -> None:
        self._add(f"{value.type_name}{{" if self._in_go_syntax else "{")
        for place, (name, item) in enumerate(value.fields.items()):
            if place:
                self._add(", " if self._in_go_syntax else " ")
            if self._in_go_syntax:
                self._add(f"{name}:")
            self.write(take_out(item), depth + 1)
        self._add("}")

    def _print_scalar(self, value: Any, depth: int) -> str:
        match kind_of(value):
            case "nil":
                return "interface {}(nil)" if self._in_go_syntax and depth else "<nil>"
            case "bool":
                return str(value).lower()
            case "float64":
                return _format_float("v", None, value)
            case "string" if self._in_go_syntax:
                return _quote(value)
            case _:
                return to_text(value)

    def _add(self, part: str) -> None:
        self.parts.append(part)
        self._characters += len(part)
        if self._characters > MAX_TEXT or len(self.parts) > _MOST_PARTS:
            raise TemplateFault("the value is too large to be printed by stringformat")
