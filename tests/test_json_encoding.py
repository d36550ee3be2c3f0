"""Which part of a value JSON cannot hold, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from flyte_host.json_encoding import encode_finite_json, encode_json

UNFIT = "which JSON cannot hold; expected a dict, list, str, number, bool or None"
NESTED = "it is nested too deeply, or holds itself"
SUBJECT = "it all is not valid JSON: "
UNICODE = "has text that is not Unicode"


class Odd:
    pass


@dataclass
class Celled:
    cell: Any


class Renamed(msgspec.Struct, rename="camel"):
    the_cell: Any


class Vanishing(dict[str, Any]):
    """A dict that can no longer be read."""

    def items(self) -> Any:
        raise LookupError("gone")


def circle() -> Any:
    rows: list[Any] = []
    rows.append(rows)
    return {"rows": rows}


def deep() -> Any:
    rows: Any = None
    for _ in range(5000):
        rows = [rows]
    return rows


def refusal(value: Any, encode: Callable[..., bytes] = encode_finite_json) -> str:
    with pytest.raises(ValueError, match=f"^{SUBJECT}") as raised:
        encode("it all", value, root="root")
    return str(raised.value).removeprefix(SUBJECT)


async def nothing() -> None: ...


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Odd(), f"it is an Odd, {UNFIT}"),
        ({"a": [1, {"b c": Odd()}]}, f'root.a[1]["b c"] is an Odd, {UNFIT}'),
        ({"a": {1: ({"x"}, Celled(Odd()))}}, f'root.a["1"][1].cell is an Odd, {UNFIT}'),
        ([Renamed(Odd())], f"root[0].theCell is an Odd, {UNFIT}"),
        ([Celled], f"root[0] is a type, {UNFIT}"),
        ({(1, 2): 3}, "it has a key that is a tuple, expected a str"),
        ([{"a": 1, None: 3}], "root[0] has a key that is None, expected a str"),
        ([{True: 3}], "root[0] has a key that is a bool, expected a str"),
        (["\ud800"], f"root[0] {UNICODE}: '\\ud800'"),
        ({"a": {"\ud800": 1}}, f"root.a {UNICODE}: '\\ud800'"),
        ({"\ud800": Odd()}, f'root["\\ud800"] is an Odd, {UNFIT}'),
        (circle(), NESTED),
        (deep(), NESTED),
        (Vanishing(a=Odd()), "it cannot be encoded: Encoding objects of type Odd is unsupported"),
        (float("nan"), "it is a number that is not finite (nan or inf)"),
        ([None, Celled(float("inf"))], "root[1].cell is a number that is not finite (nan or inf)"),
    ],
)  # fmt: skip
def test_the_part_that_json_cannot_hold_is_named(value: Any, text: str) -> None:
    assert refusal(value) == text


def test_a_coroutine_wants_to_be_awaited() -> None:
    coroutine = nothing()
    assert refusal({"a": coroutine}) == "root.a is a coroutine, expected what it returns: await it"
    coroutine.close()


def test_numbers_that_are_not_finite_become_null_where_they_may() -> None:
    assert encode_json("it", [float("nan")], root="root") == b"[null]"


def test_a_null_of_the_value_is_not_a_fault() -> None:
    assert encode_finite_json("it", {"a": [None, 1.5]}, root="root") == b'{"a":[null,1.5]}'
