"""JSON ⇄ plain values, as the Go server reads and writes it.

Owns the limits on documents. Must not know what the documents mean.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MAX_DEPTH = 100
"""The limit of MongoDB, the Go server's store."""
MAX_VALUES = 100_000
JSON_DECODER = msgspec.json.Decoder(float_hook=float)
"""For values of any kind. msgspec itself takes 11 µs for ``1e300``, and other threads wait."""
MAX_EXACT_FLOAT = 2**53
MAX_INTEGER_BITS = 1023
MAX_DIGITS = 400


class BadDocument(ValueError):
    """A body or file cannot be read; the text says what was found where."""


def read_json(body: bytes, *, is_whole: bool = False) -> Any:
    """The first JSON value of ``body``; unless ``is_whole``, what follows it is ignored, as in Go.

    Raises :class:`BadDocument`.
    """
    brackets = check_size(body)
    try:
        return plain(JSON_DECODER.decode(body), brackets)
    except RecursionError:
        raise BadDocument(too_deep()) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_json_slowly(body, is_whole=is_whole)


def check_size(body: bytes) -> int:
    """Count values before they are built; returns the number of brackets, strings included."""
    brackets = body.count(b"[") + body.count(b"{")
    # Some of them may be in strings: look closer, but only where there are many.
    if brackets + body.count(b",") >= MAX_VALUES and _has_many_values(body):
        raise BadDocument(f"more than {MAX_VALUES} values in one document")
    return brackets


def _has_many_values(body: bytes) -> bool:
    place = 0
    for _ in range(MAX_VALUES):
        # Only from where the last one ended: a search would try every place in between.
        found = _STRUCTURE.match(body, place)
        if found is None:
            return False
        place = found.end()
    return True


def _read_json_slowly(body: bytes, *, is_whole: bool) -> Any:
    """Go accepts some JSON that msgspec does not: bad UTF-8, lone surrogates, a tail."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BadDocument("the body is empty, expected JSON")
    try:
        value, end = _JSON.raw_decode(text)
        read = plain(value, MAX_DEPTH + 1)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20] or "the end"
        raise BadDocument(
            f"the body is not valid JSON: {error.msg}, line {error.lineno} column {error.colno}, "
            f"found {found!r}"
        ) from None
    except RecursionError:
        raise BadDocument(too_deep()) from None
    except ValueError as error:
        raise BadDocument(f"the JSON cannot be stored: {error}") from None
    if is_whole and (tail := text[end:].strip(" \t\r\n")):
        raise BadDocument(f"found {tail[:20]!r} after the JSON, expected the end")
    return read


_STRUCTURE = re.compile(rb'[^"\[{,]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[{,]*+)*+[\[{,]', re.DOTALL)
"""Up to the next bracket or comma that is not in a string."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _read_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise BadDocument(f"found a number of {len(digits)} digits, expected at most {MAX_DIGITS}")
    return int(digits)


_JSON = json.JSONDecoder(parse_constant=_no_constant, parse_int=_read_integer)


def fold(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """``document`` with the keys of ``names`` in their usual case: Go ignores the case."""
    known = {name.lower(): name for name in names}
    folded = {known.get(key.lower(), key): value for key, value in document.items()}
    return folded | {name: document[name] for name in known.values() if name in document}


def plain(value: Any, brackets: int) -> Any:
    """``value`` with text keys in sorted order and whole floats as integers, as Go prints them.

    ``brackets`` is an upper bound on the depth: flat documents need no exact count.
    """
    budget = [MAX_VALUES]
    return _plain_value(value, 0 if brackets > MAX_DEPTH else -MAX_DEPTH, budget)


def _plain_value(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise BadDocument(f"more than {MAX_VALUES} values in one document")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, int):
        return _integer(value)
    if depth >= MAX_DEPTH:
        raise BadDocument(too_deep())
    if isinstance(value, list):
        return [_plain_value(item, depth + 1, budget) for item in value]
    if isinstance(value, dict):
        items = {key_text(key): item for key, item in value.items()}
        return {key: _plain_value(items[key], depth + 1, budget) for key in sorted(items)}
    raise BadDocument(f"found a {type(value).__name__}, which JSON does not have")


def key_text(key: Any) -> str:
    if isinstance(key, str):
        return clean(key)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise BadDocument(f"found the key {repr(key)[:60]}, expected text")


def clean(text: str) -> str:
    """``text`` without lone surrogates, which UTF-8 cannot carry; replaced as in Go."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(value: float) -> float | int:
    if not math.isfinite(value):
        raise BadDocument(f"{value} is not a JSON number")
    if value == 0 and math.copysign(1, value) < 0:
        return value  # templates show the sign
    return int(value) if value.is_integer() and abs(value) < MAX_EXACT_FLOAT else value


def _integer(value: int | None) -> int | None:
    # Integers keep all their digits, up to the largest float.
    if value is not None and value.bit_length() > MAX_INTEGER_BITS:
        raise BadDocument("a number is out of range")
    return value


def too_deep() -> str:
    return f"nested more than {MAX_DEPTH} levels deep"


def write_json(value: Any) -> bytes:
    """Compact JSON with ``<``, ``>`` and ``&`` escaped, as Go writes it."""
    return (
        msgspec.json.encode(value)
        .replace(b"<", b"\\u003c")
        .replace(b">", b"\\u003e")
        .replace(b"&", b"\\u0026")
    )
