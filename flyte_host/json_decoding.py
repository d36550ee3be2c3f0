"""Foreign bytes → the value that their JSON stands for, or one exception for what is wrong.

Owns the words for bytes that are not JSON. Must not know what the documents mean.
"""

import json
from typing import TypeVar

import msgspec

_Shape = TypeVar("_Shape")


class NotJson(ValueError):
    """The text says why."""


def decode_json(document: bytes | str, shape: type[_Shape], *, strict: bool = True) -> _Shape:
    """``document`` as a ``shape``; ``object`` stands for any, and unless ``strict``, "1" for 1.

    Raises ValueError: NotJson, or msgspec's ValidationError for JSON that does not fit the shape.
    """
    try:
        return msgspec.json.decode(document, type=shape, strict=strict)
    except msgspec.ValidationError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(_fault(document, error)) from error


def _fault(document: bytes | str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):  # it counts from the beginning of a string
        return "it has text that is not UTF-8"
    said = str(error)
    if "truncated" in said and _has_half_a_pair(document):
        return "a string has half a surrogate pair such as \\ud800, which is not a character"
    return said


def _has_half_a_pair(document: bytes | str) -> bool:
    """msgspec calls such text truncated; Python's own parser takes it."""
    try:
        json.loads(document)
    except (ValueError, RecursionError):
        return False
    return True
