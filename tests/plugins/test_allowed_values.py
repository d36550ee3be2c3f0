"""A value that an enum, a Literal or a tag does not allow is told together with those it does."""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest

from flyte_host.plugins.mismatches import mismatch_words


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Many(enum.IntEnum):
    A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, C0 = range(21)


class Cat(msgspec.Struct, tag_field="kind", tag="cat"):
    mood: Literal["calm", "wild"] = msgspec.field(name="catMood", default="calm")


class Dog(msgspec.Struct, tag_field="kind", tag="dog"):
    size: int = 0


class TypedLevel(TypedDict, total=False):
    level: Level


class NamedLevel(NamedTuple):
    level: Level


@dataclass
class Alert:
    level: Level | None = None
    more: "list[Alert]" = field(default_factory=list)
    pets: dict[str, Cat | Dog] = field(default_factory=dict)
    pair: tuple[int, Literal[1, 2]] = (0, 1)
    typed: TypedLevel | None = None
    limited: Annotated[list[Level], msgspec.Meta(max_length=3)] = field(default_factory=list)


MANY = ", ".join(map(str, range(20)))
LEVELS = "expected one of 'low', 'high'"


@pytest.mark.parametrize(
    ("kind", "document", "words"),
    [
        (Level, '"x"', f"input: invalid enum value 'x', {LEVELS}"),
        (Alert, '{"level": "x"}', f"input.level: invalid enum value 'x', {LEVELS}"),
        (Alert, '{"more": [{}, {"level": "x"}]}',
         f"input.more[1].level: invalid enum value 'x', {LEVELS}"),
        (Alert, '{"limited": ["x"]}', f"input.limited[0]: invalid enum value 'x', {LEVELS}"),
        (Alert, '{"typed": {"level": "x"}}',
         f"input.typed.level: invalid enum value 'x', {LEVELS}"),
        (list[NamedLevel], '[["x"]]', "input[0][0]: invalid enum value 'x'"),
        (Alert, '{"pair": [0, 3]}', "input.pair[1]: invalid enum value 3, expected one of 1, 2"),
        (Alert, '{"pets": {"a": {"kind": "cat", "catMood": "x"}}}',
         "input.pets[...].catMood: invalid enum value 'x', expected one of 'calm', 'wild'"),
        (Alert, '{"pets": {"a": {"kind": "x"}}}',
         "input.pets[...].kind: invalid value 'x', expected one of 'cat', 'dog'"),
        (Many, "21", f"input: invalid enum value 21, expected one of {MANY}, …"),
        (dict[Level, int], '{"x": 1}', "key in input: invalid enum value 'x'"),
        (int, '"x"', "input: expected int, got str"),
    ],
)  # fmt: skip
def test_allowed_values_are_named(kind: Any, document: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(document, type=kind)
    assert mismatch_words(str(raised.value), "input", kind) == words
