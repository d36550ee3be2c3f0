"""One verb of Go's Sprintf, and what it makes of a bool, a number or a text."""

import math
from dataclasses import dataclass

from flyte_host.embedded.float_digits import shortest_float, significant_digits
from flyte_host.embedded.pongo2.limits import MAX_PARTS_TEXT, check_size

_BASES = {"b": "b", "d": "d", "o": "o", "O": "o", "v": "d", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "x": "0x", "X": "0X"}
_ESCAPES = dict(zip("\a\b\f\n\r\t\v\\", (f"\\{one}" for one in "abfnrtv\\"), strict=True))
_HIGHEST = 0x10FFFF
_FEWEST_DIGITS = 6
"""Of a float with the flag #, unless its precision says otherwise."""


@dataclass(frozen=True, slots=True)
class Verb:
    """``%-5.2f``: its letter, its flags, and how wide and precise it is.

    ``in_go_syntax`` is ``%#v``; ``with_names``, for the fields of structs, is that or ``%+v``.
    """

    letter: str
    flags: str = ""
    width: int = 0
    precision: int | None = None
    in_go_syntax: bool = False
    with_names: bool = False

    @property
    def fills_with_zeros(self) -> bool:
        return "0" in self.flags and "-" not in self.flags

    def pad(self, body: str) -> str:
        if "-" in self.flags:
            return body.ljust(self.width)
        return body.rjust(self.width, "0" if self.fills_with_zeros else " ")

    def sign_of(self, *, is_negative: bool) -> str:
        return (
            "-" if is_negative else "+" if "+" in self.flags else " " if " " in self.flags else ""
        )


def format_bool(verb: Verb, value: bool) -> str | None:
    return verb.pad(str(value).lower()) if verb.letter in "tv" else None


def format_int(verb: Verb, value: int) -> str | None:
    """Format an integer; None if the verb takes none."""
    match verb.letter:
        case "c":
            return verb.pad(chr(value) if 0 <= value <= _HIGHEST else "\ufffd")
        case "q":
            one = chr(value) if 0 <= value <= _HIGHEST else "\ufffd"
            return verb.pad(_quote(verb, one, "'"))
        case "U":
            return _pad_number(verb, _code_point(verb, value % (1 << 64)))
        case letter if letter in _BASES:
            return _pad_number(verb, _digits(verb, value))
    return None


def _pad_number(verb: Verb, body: str) -> str:
    # Zeros are among the digits already.
    return body.ljust(verb.width) if "-" in verb.flags else body.rjust(verb.width)


def _digits(verb: Verb, value: int) -> str:
    sign = verb.sign_of(is_negative=value < 0)
    if verb.precision == 0 and value == 0:
        return ""
    least = verb.precision
    if least is None:
        least = verb.width - len(sign) if verb.fills_with_zeros else 0
    digits = f"{abs(value):{_BASES[verb.letter]}}".rjust(least, "0")
    if "#" in verb.flags and verb.letter in "oO" and digits[0] != "0":
        digits = f"0{digits}"
    prefix = _PREFIXES.get(verb.letter, "") if "#" in verb.flags else ""
    return sign + ("0o" if verb.letter == "O" else prefix) + digits


def _code_point(verb: Verb, value: int) -> str:
    digits = f"{value:X}".rjust(max(4, verb.precision or 0), "0")
    shows = "#" in verb.flags and value <= _HIGHEST and chr(value).isprintable()
    return f"U+{digits} '{chr(value)}'" if shows else f"U+{digits}"


def format_float(verb: Verb, value: float) -> str | None:
    """Format a float; None if the verb takes none."""
    if verb.letter not in "eEfFgGv":
        return None
    is_negative = math.copysign(1, value) < 0 and not math.isnan(value)
    sign = verb.sign_of(is_negative=is_negative)
    if not math.isfinite(value):
        return _pad_number(verb, sign + "NaN" if math.isnan(value) else (sign or "+") + "Inf")
    body = _float_digits(verb, abs(value))
    if sign and verb.fills_with_zeros:
        return sign + body.rjust(verb.width - len(sign), "0")
    return verb.pad(sign + body)


def _float_digits(verb: Verb, value: float) -> str:
    # The flag # keeps the point and the zeros behind it, in Python too.
    sharp = "#" if "#" in verb.flags else ""
    if verb.letter not in "gGv":
        return f"{value:{sharp}.{6 if verb.precision is None else verb.precision}{verb.letter}}"
    if verb.precision is not None:
        body = f"{value:{sharp}.{verb.precision or 1}g}"
    else:
        body = shortest_float(value)
        if sharp and significant_digits(value) <= _FEWEST_DIGITS:
            body = f"{value:#.{_FEWEST_DIGITS}g}"
    return body.upper() if verb.letter == "G" else body


def format_text(verb: Verb, value: str) -> str | None:
    """Format a text; None if the verb takes none."""
    match verb.letter:
        case "x" | "X":
            return _hexadecimal(verb, value)
        case letter if letter == "q" or verb.in_go_syntax:
            return verb.pad(_quote(verb, value[: verb.precision], '"'))
        case "s" | "v":
            return verb.pad(value[: verb.precision])
    return None


def _hexadecimal(verb: Verb, value: str) -> str:
    encoded = value[: verb.precision].encode(errors="replace")[: verb.precision]
    separator = " " if " " in verb.flags else ""
    shown = encoded.hex(separator) if separator else encoded.hex()
    if "#" in verb.flags and shown:
        shown = "0x" + shown.replace(" ", " 0x")
    return verb.pad(shown.upper() if verb.letter == "X" else shown)


def _quote(verb: Verb, text: str, mark: str) -> str:
    """Quote a text as Go's ``strconv.Quote``."""
    check_size(text, MAX_PARTS_TEXT, "a quoted text")
    if "#" in verb.flags and mark == '"' and _fits_backquotes(text):
        return f"`{text}`"
    return mark + "".join(_escape(one, mark, in_ascii="+" in verb.flags) for one in text) + mark


def _fits_backquotes(text: str) -> bool:
    return not any((one < " " and one != "\t") or one in "`\x7f\ufeff" for one in text)


def _escape(one: str, mark: str, *, in_ascii: bool) -> str:
    if one == mark:
        return f"\\{one}"
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable() and (one.isascii() or not in_ascii):
        return one
    code = ord(one)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
