"""A value fits a schema if the type that it was made from can be decoded from it."""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from flyte_host.records.schema_mismatch import mismatch


class LeafKind(enum.Enum):
    ONE = "one"
    TWO = "two"


@dataclass
class Leaf:
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=3, pattern="^[a-z]")]
    size: Annotated[int, msgspec.Meta(ge=0, lt=10)] = 0
    more: Annotated[float, msgspec.Meta(gt=-1, le=1)] = 0


@dataclass
class Branch:
    leaves: list[Leaf] = field(default_factory=list)
    parent: "Branch | None" = None
    kind: LeafKind | None = None
    mode: Literal["fast", "slow"] = "fast"


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    a: int


class Typed(TypedDict, total=False):
    a: int


class Lion(msgspec.Struct, tag="Cat"):
    lives: int


class Wolf(msgspec.Struct, tag="Dog"):
    name: str


class First(msgspec.Struct, tag=1):
    a: int


class Second(msgspec.Struct, tag=2):
    b: int


TYPES: list[Any] = [
    Lion | Wolf, Lion | Wolf | None, int | Wolf | Lion | list[int], list[Lion | Wolf],
    First | Second,
    Any, str, int, float, bool, None, int | None, str | int, list[str], dict[str, int], Leaf,
    Branch, Closed, Typed, tuple[int, str], tuple[int, ...], LeafKind, Literal["a", 1], Leaf | str,
    Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)],
]  # fmt: skip
LEAF: Any = {"name": "ab", "size": 1}
VALUES: list[Any] = [
    None, True, 0, 2, -1, 1.5, 10, "", "a", "one", "fast", [], [1], [1, "a"], ["a"], [1, 2, 3],
    {}, {"a": 1}, {"a": "x"}, {"a": 1, "b": 2}, LEAF, LEAF | {"name": ""}, LEAF | {"name": "abcd"},
    LEAF | {"name": "A"}, LEAF | {"size": 10}, LEAF | {"size": True}, LEAF | {"more": -1},
    LEAF | {"more": 2}, LEAF | {"size": -1}, {"leaves": [LEAF, {}]}, {"leaves": {}},
    {"parent": {"parent": {"leaves": [LEAF]}}}, {"parent": {"parent": 1}}, {"kind": 3},
    {"kind": "one"}, {"mode": "slowly"}, {"mode": None}, {"type": "Cat", "lives": 9},
    {"type": "Dog", "name": "Rex"}, {"type": "Dog", "lives": 9}, {"type": "Cow"}, {"type": [1]},
    [{"type": "Dog", "name": "Rex"}, {"type": "Cat", "lives": 1}], {"type": 2, "b": 1},
    {"type": 2, "a": 1}, {"type": "2", "b": 1}, {"type": 3},
]  # fmt: skip


def decodes(kind: Any, value: Any) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_what_fits_is_what_can_be_decoded(kind: Any) -> None:
    schema = msgspec.json.schema(kind)
    for value in VALUES:
        assert (mismatch(schema, value) == "") == decodes(kind, value), value


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (int, "a", "input: expected int, got str"),
        (Lion | Wolf, {"type": "Dog", "name": 3}, "input.name: expected str, got int"),
        (Lion | Wolf | None, {"type": "Dog"}, "input: object missing required field name"),
        (Lion | Wolf | None, {}, "input: object missing required field type"),
        (
            Lion | Wolf,
            {"type": "Cow"},
            "input.type: invalid enum value 'Cow', expected one of 'Cat', 'Dog'",
        ),
        (Lion | Wolf | None, 3, "input: expected object | null, got int"),
        (int | None, [], "input: expected int | null, got array"),
        (Branch, {"leaves": [LEAF, {"name": 1}]}, "input.leaves[1].name: expected str, got int"),
        (Branch, {"leaves": [{}]}, "input.leaves[0]: object missing required field name"),
        (
            Branch,
            {"parent": {"mode": "x"}},
            "input.parent.mode: invalid enum value 'x', expected one of 'fast', 'slow'",
        ),
        (Leaf, LEAF | {"size": 10}, "input.size: expected < 10"),
        (Leaf, LEAF | {"name": ""}, "input.name: expected length >= 1"),
        (Closed, {"a": 1, "b": 1.5}, "input: object contains unknown field b"),
        (bool, 1.5, "input: expected bool, got float"),
        (str, True, "input: expected str, got bool"),
    ],
)
def test_a_mismatch_is_told_with_its_place(kind: Any, value: Any, said: str) -> None:
    assert mismatch(msgspec.json.schema(kind), value) == said
