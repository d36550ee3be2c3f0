"""Defaults of dataclasses that msgspec decoded, as attributes of their objects.

msgspec leaves a field that the document does not have to the attribute of the class. It reads well,
but encodes as nothing: a handler that returns its input in an event would lose the field.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect


def has_dataclass(kind: Any) -> bool:
    """Whether a value of that type may hold an object of a dataclass."""
    seen: set[int] = set()
    found: list[Any] = [inspect.type_info(kind)]
    while found:
        node = found.pop()
        if isinstance(node, inspect.DataclassType):
            return True
        if isinstance(node, inspect.Type | inspect.Field) and id(node) not in seen:
            seen.add(id(node))
            found += [getattr(node, each) for each in node.__struct_fields__]
        elif isinstance(node, tuple):
            found += node
    return False


def set_defaults(value: Any) -> None:
    """Set every default in a decoded value, however deep the object is that lacks it."""
    if dataclasses.is_dataclass(value):
        own = getattr(value, "__dict__", None)
        for name in [each.name for each in dataclasses.fields(value)]:
            if own is not None and name not in own:
                own[name] = getattr(value, name)  # frozen ones refuse setattr
    for inner in _parts(value):
        set_defaults(inner)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, msgspec.Struct):
        yield from (getattr(value, each) for each in value.__struct_fields__)
    elif dataclasses.is_dataclass(value):
        yield from (getattr(value, each.name) for each in dataclasses.fields(value))
