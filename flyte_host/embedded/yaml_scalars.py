"""Scalars of YAML → JSON values, as the Go server's library resolves them.

Owns what a word, a number or an explicit tag means, and how a key becomes text.
"""

import base64
import math
import re
import struct
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import yaml

from flyte_host.embedded.codec import MAX_DIGITS, BadDocument, key_text
from flyte_host.embedded.float_digits import shortest_float

_TAGS = "tag:yaml.org,2002:"
_WORDS: Mapping[str, tuple[str, Any]] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], ("null", None)),
    **dict.fromkeys(
        ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], ("bool", True)
    ),
    **dict.fromkeys(
        ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"],
        ("bool", False),
    ),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], ("float", float("nan"))),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], ("float", float("inf"))),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], ("float", float("-inf"))),
}
_INT = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)", re.ASCII)
_PREFIXED = re.compile(r"[-+]?0[bBoOxX]")
_FLOAT = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+][0-9]+)?", re.ASCII)
_POINT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?", re.ASCII)
_CLOCK = r"(\d\d?):(\d\d?):(\d\d?)(?:\.\d+)?"
_TIMESTAMP = re.compile(
    rf"(\d{{4}})-(\d\d?)-(\d\d?)(?:[Tt]{_CLOCK}(?:Z|[-+]\d\d:\d\d)| {_CLOCK})?", re.ASCII
)


MERGE = object()
"""What the key ``<<`` is read as."""


def resolve_scalar(event: yaml.ScalarEvent, is_key: bool) -> Any:
    """The value of a scalar by its tag, or by its form if it has none and is not quoted."""
    text: str = event.value
    tag = event.tag
    if tag is None and event.implicit[0]:
        return MERGE if is_key and text == "<<" else _resolve_plain(text)[1]
    name = (tag or "!").removeprefix(_TAGS)
    if name == "binary":
        return _decode_base64(text)
    if name == "merge" and is_key and text == "<<":
        return MERGE
    if name == "timestamp" and not _is_timestamp(text):
        raise BadDocument(f"line {line_of(event)}: found {text[:60]!r} as a !!timestamp")
    if name not in {"bool", "float", "int", "null"}:
        return text
    found, value = _resolve_plain(text)
    if (name, found) == ("float", "int") and abs(value) <= sys.float_info.max:
        return float(value)
    if name != found:
        raise BadDocument(f"line {line_of(event)}: found {text[:60]!r} as a !!{name}")
    return value


def _is_timestamp(text: str) -> bool:
    found = _TIMESTAMP.fullmatch(text)
    try:
        numbers = [int(each) for each in found.groups() if each] if found else []
        return bool(numbers and datetime(*numbers))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return False


def _resolve_plain(text: str) -> tuple[str, Any]:
    if text in _WORDS:
        return _WORDS[text]
    compact = text.replace("_", "")
    if text[0] == "." and _POINT.fullmatch(text):
        return "float", float(text)
    if text[0] not in "+-0123456789":
        return "str", text
    if _INT.fullmatch(compact):
        value = _to_int(compact)
        # In Go, only a decimal number may have more than 64 bits.
        is_text = _PREFIXED.match(compact) and not -(1 << 63) <= value < 1 << 64
        return ("str", text) if is_text else ("int", value)
    if _FLOAT.fullmatch(compact):
        number = float(compact)
        return ("float", number) if abs(number) != float("inf") else ("str", text)
    return "str", text


def _to_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise BadDocument(f"found a number of {len(text)} digits, expected at most {MAX_DIGITS}")
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567":
        text = text.replace("0", "0o", 1)
    return int(text, 0)


def text_of_key(key: Any) -> str:
    return _float_key(key) if isinstance(key, float) else key_text(key)


def _float_key(key: float) -> str:
    """A float as the Go server's library writes it as a key: with the digits of 32 bits."""
    if math.isnan(key):
        return ".nan"
    try:
        single = struct.pack("f", key)
    except OverflowError:
        single = struct.pack("f", math.copysign(math.inf, key))
    (value,) = struct.unpack("f", single)
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    shown = (f"{value:.{digits}g}" for digits in range(1, 10))
    return shortest_float(next(float(each) for each in shown if _is_single(each, single)))


def _is_single(digits: str, single: bytes) -> bool:
    try:
        return struct.pack("f", float(digits)) == single
    except OverflowError:
        return False


def _decode_base64(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
    except ValueError:  # binascii.Error is one, and letters beyond ASCII are another
        raise BadDocument(f"found {text[:60]!r} as !!binary, expected base64") from None


def line_of(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
