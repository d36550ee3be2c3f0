"""Foreign values → JSON, or a sentence on which part of them JSON cannot hold.

Owns those sentences. They name the place of the part and its type, and quote no value.
"""

import dataclasses
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from flyte_host.text import printable, quoted, type_of

EXPECTED = "which JSON cannot hold; expected a dict, list, str, number, bool or None"
NO_TEXT_KEY = "Only dicts with"
NO_JSON = "Encoding objects of type"


def encode_json(what: str, value: Any, *, root: str) -> bytes:
    """``value`` as JSON; raises ValueError, which calls it ``what`` and begins places with root."""
    try:
        return msgspec.json.encode(value)
    except Exception as error:  # a payload is foreign code, down to its properties
        raise ValueError(f"{what} is not valid JSON: {_fault(value, root, error)}") from None


def encode_finite_json(what: str, value: Any, *, root: str) -> bytes:
    """The same, but numbers that are not finite are refused too.

    JSON has no word for them, and the ``null`` that encoders put there would be another value.
    """
    document = encode_json(what, value, root=root)
    # An encoded nan cannot be told from None; only a document with a null is worth a second look.
    if b"null" in document and (place := _infinite_place(value, root)):
        found = "it" if place == root else place
        raise ValueError(
            f"{what} is not valid JSON: {found} is a number that is not finite (nan or inf)"
        )
    return document


def _fault(value: Any, root: str, error: Exception) -> str:
    """What is wrong with the innermost bad part, or with the whole, if its parts cannot be read."""
    try:
        place, part, problem = _innermost(value, root, error)
        found = _words(part, problem)
    except Exception:  # it is foreign code that raised already
        place, found = root, f"cannot be encoded: {str(error) or type(error).__name__}"
    return printable(f"{'it' if place == root else place} {found}")


def _innermost(value: Any, place: str, error: Exception) -> tuple[str, Any, Exception]:
    if isinstance(error, RecursionError):  # there may be no innermost part
        return place, value, error
    for name, part in _parts(value):
        if problem := _problem(part):
            return _innermost(part, f"{place}{name}", problem)
    return place, value, error


def _problem(value: Any) -> Exception | None:
    try:
        msgspec.json.encode(value)
    except Exception as error:
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            yield from ((_step(key), part) for key, part in value.items())
        case list() | tuple():
            yield from ((f"[{index}]", part) for index, part in enumerate(value))
        case set() | frozenset():  # its order means nothing
            yield from (("[…]", part) for part in value)
        case msgspec.Struct():
            for field in msgspec.structs.fields(value):
                yield f".{field.encode_name}", getattr(value, field.name)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for each in dataclasses.fields(value):
                yield f".{each.name}", getattr(value, each.name)


def _step(key: object) -> str:
    text = str(key)
    return f".{text}" if text.isidentifier() else f"[{quoted(text)}]"


def _words(part: Any, error: Exception) -> str:
    said = str(error)
    if inspect.iscoroutine(part):
        return "is a coroutine, expected what it returns: await it"
    if isinstance(error, RecursionError):
        return "is nested too deeply, or holds itself"
    if isinstance(error, UnicodeEncodeError):
        return f"has text that is not Unicode: {error.object[error.start : error.end]!a}"
    if said.startswith(NO_JSON) and not isinstance(part, dict | list | tuple | set | frozenset):
        return f"is {type_of(part)}, {EXPECTED}"
    if said.startswith(NO_TEXT_KEY) and isinstance(part, Mapping):
        unfit = next(key for key in part if _problem({key: None}))
        what = "None" if unfit is None else type_of(unfit)
        return f"has a key that is {what}, expected a str"
    return f"cannot be encoded: {said or type(error).__name__}"


def _infinite_place(value: Any, root: str) -> str:
    # What only the encoder knows (raw JSON) is taken as it is.
    waiting = [(root, msgspec.to_builtins(value, enc_hook=str))]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, float) and not math.isfinite(part):
            return place
        if isinstance(part, dict | list | tuple):
            waiting.extend((f"{place}{name}", inner) for name, inner in _parts(part))
    return ""
