"""Keys of settings that no field has, however deep: most are misspelt.

Owns the way through a document and its type side by side. Pure. Must not know what decodes it.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.inspect import (
    CollectionType,
    DataclassType,
    DictType,
    Metadata,
    StructType,
    Type,
    TypedDictType,
    UnionType,
)

from flyte_host.text import nearest


def unknown_keys(value: Any, kind: Type, place: str) -> Iterator[str]:
    """``settings.retry.tims: unknown (did you mean "times"?)`` for each of them."""
    match value, _meant(kind, value):
        case dict(), StructType() | DataclassType() | TypedDictType() as owner:
            yield from _of_object(value, owner, place)
        case dict(), DictType(value_type=of_values):
            for key, each in value.items():
                yield from unknown_keys(each, of_values, f"{place}.{key}")
        case list(), CollectionType(item_type=of_items):
            for number, each in enumerate(value):
                yield from unknown_keys(each, of_items, f"{place}[{number}]")


def _of_object(
    value: dict[str, Any], owner: StructType | DataclassType | TypedDictType, place: str
) -> Iterator[str]:
    known = {field.encode_name: field.type for field in owner.fields}
    tag = getattr(owner, "tag_field", None)
    for key, each in value.items():
        if key in known:
            yield from unknown_keys(each, known[key], f"{place}.{key}")
        elif key != tag:
            yield f"{place}.{key}: unknown{nearest(key, known)}"


def _meant(kind: Type, value: Any) -> Type | None:
    """The type itself; of a union, the one for lists, or for objects with the value's tag."""
    if isinstance(kind, Metadata):
        return _meant(kind.type, value)
    if not isinstance(kind, UnionType):
        return kind
    wanted: Any = CollectionType
    if isinstance(value, dict):
        wanted = StructType | DataclassType | TypedDictType | DictType
    found = [meant for each in kind.types if isinstance(meant := _meant(each, value), wanted)]
    if len(found) > 1:
        found = [each for each in found if each.tag == value.get(each.tag_field)]
    return found[0] if found else None
