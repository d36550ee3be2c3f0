"""Fills Structs from JSON by the rules of Go's encoding/json, which flows were written against.

Keys match in any case, unknown ones are ignored, ``null`` leaves the default, nothing is
converted, and an error in one field leaves the others filled.
"""

import json
from types import UnionType
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin

import msgspec

T = TypeVar("T")

_INT64_END = 2**63
_NAMES = {str: "string", int: "int", bool: "bool"}


class Decoded(msgspec.Struct, Generic[T], frozen=True):
    """What could be filled, and what was wrong with the first value that could not."""

    value: T
    error: str = ""


def parse_json(content: bytes) -> Any:
    """The document in ``content``; what is not Unicode in its texts becomes U+FFFD, as in Go.

    Raises ValueError.
    """
    try:
        return msgspec.json.decode(content)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    except ValueError:
        if content.isascii() and b"\\u" not in content:
            raise
    return _parse_leniently(content)


def _parse_leniently(content: bytes) -> Any:
    """By a slower parser, which takes halves of surrogate pairs."""
    try:
        document = json.loads(content.decode(errors="replace"), parse_constant=_refuse)
        return _replace_surrogates(document)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _replace_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_replace_surrogates(each) for each in value]
        case dict():
            return {
                _replace_surrogates(key): _replace_surrogates(each) for key, each in value.items()
            }
    return value


def decode(wanted: type[T], document: Any) -> Decoded[T]:
    """``document`` (parsed JSON) as ``wanted``: a str, or a Struct with defaults for all fields.

    Fields are str, int, bool, Any, Structs, lists of these, and dicts from str to these.
    """
    errors: list[str] = []
    value = _filled(wanted, wanted(), document, "", errors)
    return Decoded(cast("T", value), errors[0] if errors else "")


def match_keys(wanted: type[msgspec.Struct], document: Any) -> Any:
    """An object with the Struct's own keys, for a reader that is stricter than ``decode``.

    Keys match in any case, unknown ones and ``null`` are left out, and no document is an empty one.
    Anything but an object stays as it is.
    """
    if document is None:
        return {}
    if not isinstance(document, dict):
        return document
    own = [each.encode_name for each in msgspec.structs.fields(wanted)]
    names = {each.casefold(): each for each in own}
    return {
        names[key.casefold()]: value
        for key, value in document.items()
        if value is not None and key.casefold() in names
    }


def _filled(wanted: Any, default: Any, found: Any, path: str, errors: list[str]) -> Any:
    if wanted is Any or found is None:
        return default if found is None else found
    wanted = _without_none(wanted)
    if get_origin(wanted) is list and isinstance(found, list):
        [element] = get_args(wanted)
        return [_filled(element, element(), each, path, errors) for each in found]
    if get_origin(wanted) is dict and isinstance(found, dict):
        _, element = get_args(wanted)
        return {key: _filled(element, element(), each, path, errors) for key, each in found.items()}
    if _is_struct(wanted) and isinstance(found, dict):
        return _struct(wanted, default, found, path, errors)
    if _fits(wanted, found):
        return found
    errors.append(_mismatch(wanted, found, path))
    return default


def _struct(wanted: Any, default: Any, found: dict[str, Any], path: str, errors: list[str]) -> Any:
    fields = {each.encode_name.casefold(): each for each in msgspec.structs.fields(wanted)}
    filled: dict[str, Any] = {}
    for key, value in found.items():
        field = fields.get(key.casefold())
        if field is not None:
            place = f"{path}.{field.encode_name}" if path else field.encode_name
            so_far = filled.get(field.name, getattr(default, field.name))
            filled[field.name] = _filled(field.type, so_far, value, place, errors)
    return msgspec.structs.replace(default, **filled)


def _without_none(wanted: Any) -> Any:
    if get_origin(wanted) in (Union, UnionType):
        [wanted] = [each for each in get_args(wanted) if each is not type(None)]
    return wanted


def _is_struct(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)


def _fits(wanted: Any, found: Any) -> bool:
    if not isinstance(wanted, type) or not isinstance(found, wanted):
        return False
    if isinstance(found, bool):
        return wanted is bool
    return not isinstance(found, int) or -_INT64_END <= found < _INT64_END


def _mismatch(wanted: Any, found: Any, path: str) -> str:
    target = f"field {path}" if path else "Go value"
    return f"json: cannot unmarshal {_kind(found)} into {target} of type {_type_name(wanted)}"


def _kind(found: Any) -> str:
    match found:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "number"


def _type_name(wanted: Any) -> str:
    if get_origin(wanted) is list:
        return f"[]{_type_name(get_args(wanted)[0])}"
    if get_origin(wanted) is dict:
        return f"map[string]{_type_name(get_args(wanted)[1])}"
    return _NAMES.get(wanted, "object")
