"""pongo2's operators on Go's values.

Owns arithmetic, comparison, ``in`` and negation. Must not know templates.
"""

import math
from collections.abc import Callable
from typing import Any

from flyte_host.embedded.pongo2.values import (
    Fault,
    element,
    int64,
    integer,
    is_number,
    is_true,
    kind,
    number,
    text,
)


def negated(value: Any) -> Any:
    """``!value``: of a number again a number, as pongo2 has it."""
    match kind(value):
        case "int":
            return 0 if value else 1
        case "float64":
            return 0.0 if value else 1.1
        case _:
            return not is_true(value)


def negative(value: Any) -> Any:
    if is_number(value):
        return int64(-value) if kind(value) == "int" else -value
    raise Fault(f"a minus sign needs a number, not a {kind(value)}")


def equal(left: Any, right: Any) -> bool:
    if kind(left) != kind(right):
        return False
    if kind(left) in {"map", "slice"}:
        raise Fault(f"two values of type {kind(left)} cannot be compared")
    return bool(left == right)


def contains(item: Any, container: Any) -> bool:
    match kind(container):
        case "string":
            return text(item) in container
        case "map":
            return isinstance(item, str) and item in container
        case "slice":
            return any(equal(item, element(one)) for one in container)
        case _:
            return False


def _arithmetic(
    floats: Callable[[float, float], float], ints: Callable[[int, int], int]
) -> Callable[[Any, Any], Any]:
    def operate(left: Any, right: Any) -> Any:
        if "float64" in {kind(left), kind(right)}:
            return floats(number(left), number(right))
        return int64(ints(integer(left), integer(right)))

    return operate


def _ordering(holds: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if "float64" in {kind(left), kind(right)}:
            return holds(number(left), number(right))
        return holds(integer(left), integer(right))

    return compare


def _divided_float(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)


def _divided_int(left: int, right: int) -> int:
    if not right:
        raise Fault("an integer is divided by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: Any, right: Any) -> int:
    whole, by = integer(left), integer(right)
    return whole - _divided_int(whole, by) * by


def _power(base: Any, exponent: Any) -> float:
    try:
        return math.pow(number(base), number(exponent))
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": _arithmetic(lambda a, b: a + b, lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b, lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b, lambda a, b: a * b),
    "/": _arithmetic(_divided_float, _divided_int),
    "%": _remainder,
    "^": _power,
    "==": equal,
    "!=": lambda a, b: not equal(a, b),
    "<>": lambda a, b: not equal(a, b),
    "<": _ordering(lambda a, b: a < b),
    ">": _ordering(lambda a, b: a > b),
    "<=": _ordering(lambda a, b: a <= b),
    ">=": _ordering(lambda a, b: a >= b),
    "in": contains,
}
