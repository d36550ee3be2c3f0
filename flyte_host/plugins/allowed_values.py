"""The values that an enum, a Literal or the tag of a union allows, at a place in a document.

Owns the way from msgspec's words for a mismatch to the type at that place. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.inspect import (
    CollectionType,
    DataclassType,
    DictType,
    EnumType,
    LiteralType,
    Metadata,
    NamedTupleType,
    StructType,
    TupleType,
    TypedDictType,
    UnionType,
    type_info,
)

MOST_VALUES = 20
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def allowed_words(kind: Any, place: str) -> str:
    """``, expected one of 'low', 'high'``; empty if the type at ``place`` does not list values.

    ``place`` is a path in a document of the type ``kind``, such as ``$.alerts[0].level``.
    """
    values = [repr(each) for each in dict.fromkeys(_values(kind, place))]
    if not values:
        return ""
    more = ", …" if len(values) > MOST_VALUES else ""
    return f", expected one of {', '.join(values[:MOST_VALUES])}{more}"


def _values(kind: Any, place: str) -> Iterator[Any]:
    found = list(_plain(type_info(kind)))
    for step in _STEP.finditer(place):
        found = [
            plain for each in found for inner in _inside(each, step) for plain in _plain(inner)
        ]
    for each in found:
        if isinstance(each, LiteralType):
            yield from each.values
        elif isinstance(each, EnumType):
            yield from (member.value for member in each.cls)


def _plain(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """The types that a value may have, without unions and what Annotated adds."""
    if isinstance(kind, Metadata):
        yield from _plain(kind.type)
    elif isinstance(kind, UnionType):
        for each in kind.types:
            yield from _plain(each)
    else:
        yield kind


def _inside(kind: msgspec.inspect.Type, step: re.Match[str]) -> Iterator[msgspec.inspect.Type]:
    """The types of what the step leads to: a field, or an item of a list or dict."""
    name, number = step.groups()
    match kind:
        case StructType(tag_field=str() as tag_field, tag=tag) if name == tag_field:
            yield LiteralType((tag,))
        case StructType() | DataclassType() | TypedDictType() | NamedTupleType():
            yield from (each.type for each in kind.fields if each.encode_name == name)
        case DictType() if number:
            yield kind.value_type
        case TupleType() if number and number != "...":
            yield from kind.item_types[int(number) : int(number) + 1]
        case CollectionType() if number:
            yield kind.item_type
