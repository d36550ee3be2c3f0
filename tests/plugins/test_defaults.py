"""A decoded object that is encoded again has the defaults of its fields."""

import json
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec
import pytest

from flyte_host import Command
from flyte_host.plugins.bound_command import bind
from flyte_host.plugins.defaults import has_dataclass


@dataclass
class Plain:
    who: str
    urgent: bool = False


@dataclass(frozen=True)
class Frozen:
    who: str
    urgent: bool = False


@dataclass(slots=True)
class WithSlots:
    who: str
    urgent: bool = False


@dataclass
class Tree:
    who: str
    urgent: bool = False
    children: "list[Tree]" = field(default_factory=list)


class PageRecord(TypedDict):
    page: Plain


class Envelope(msgspec.Struct):
    page: Plain | None = None


SHORT = {"who": "ada"}
FULL = {"who": "ada", "urgent": False}


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Plain, SHORT, FULL),
        (Plain, {"who": "ada", "urgent": True}, {"who": "ada", "urgent": True}),
        (Frozen, SHORT, FULL),
        (WithSlots, SHORT, FULL),
        (list[Plain], [SHORT, SHORT], [FULL, FULL]),
        (tuple[Plain, int], [SHORT, 1], [FULL, 1]),
        (set[Frozen], [SHORT], [FULL]),
        (dict[str, Plain], {"a": SHORT}, {"a": FULL}),
        (PageRecord, {"page": SHORT}, {"page": FULL}),
        (Envelope, {"page": SHORT}, {"page": FULL}),
        (Envelope, {}, {"page": None}),
        (Plain | None, SHORT, FULL),
        (Tree, SHORT | {"children": [SHORT]}, FULL | {"children": [FULL | {"children": []}]}),
    ],
)
def test_an_input_encodes_with_its_defaults(kind: Any, given: Any, expected: Any) -> None:
    def handler(input: Any) -> Any:
        return input

    handler.__annotations__["input"] = kind
    decoded = bind(Command("run", handler, []), "demo").decode(msgspec.json.encode(given))
    assert json.loads(msgspec.json.encode(decoded)) == expected


@pytest.mark.parametrize("kind", [Any, str, list[int], dict[str, Any], object])
def test_a_type_without_dataclasses_is_not_looked_through(kind: Any) -> None:
    assert not has_dataclass(kind)
