"""pongo2's operators on Go's values: arithmetic, comparison, ``in`` and negation."""

import math
from collections.abc import Callable
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import check_size
from flyte_host.embedded.pongo2.values import (
    GoStruct,
    is_number,
    is_true,
    kind_of,
    take_out,
    to_float,
    to_int,
    to_text,
    type_of,
    wrap_int64,
)


def invert(value: Any) -> Any:
    """Compute ``!value``; a number gives a number, as in pongo2."""
    match kind_of(value):
        case "int":
            return 0 if value else 1
        case "float64":
            return 0.0 if value else 1.1
        case _:
            return not is_true(value)


def negate(value: Any) -> Any:
    if is_number(value):
        return wrap_int64(-value) if kind_of(value) == "int" else -value
    raise TemplateFault(f"a minus sign needs a number, not a {kind_of(value)}")


def are_equal(left: Any, right: Any) -> bool:
    if type_of(left) != type_of(right):
        return False
    if kind_of(left) in {"map", "slice"} or isinstance(left, GoStruct):
        raise TemplateFault(f"two values of type {type_of(left)} cannot be compared")
    return bool(left == right)


def contains(item: Any, container: Any) -> bool:
    match kind_of(container):
        case "string":
            return to_text(item) in container
        case "map" if kind_of(item) == "int":
            raise TemplateFault("a number cannot be a key of a map")
        case "map":
            return isinstance(item, str) and item in container
        case "slice":
            check_size(container, what="in")
            return any(are_equal(item, take_out(one)) for one in container)
        case "struct" if isinstance(container, GoStruct):
            return to_text(item) in container.fields
        case _:
            return False


def _make_arithmetic(
    floats: Callable[[float, float], float], ints: Callable[[int, int], int]
) -> Callable[[Any, Any], Any]:
    def operate(left: Any, right: Any) -> Any:
        if "float64" in {kind_of(left), kind_of(right)}:
            return floats(to_float(left), to_float(right))
        return wrap_int64(ints(to_int(left), to_int(right)))

    return operate


def _make_ordering(holds: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if "float64" in {kind_of(left), kind_of(right)}:
            return holds(to_float(left), to_float(right))
        return holds(to_int(left), to_int(right))

    return compare


def _divide_floats(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)


def _divide_ints(left: int, right: int) -> int:
    if not right:
        raise TemplateFault("an integer is divided by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _take_remainder(left: Any, right: Any) -> int:
    whole, by = to_int(left), to_int(right)
    return whole - _divide_ints(whole, by) * by


def _raise_power(base: Any, exponent: Any) -> float:
    number, power = to_float(base), to_float(exponent)
    try:
        return math.pow(number, power)
    except OverflowError:
        return -math.inf if number < 0 and power % 2 else math.inf
    except ValueError:
        # Zero to a negative power is infinite; a negative number has no root.
        return math.nan if number else math.copysign(math.inf, number if power % 2 == 1 else 1.0)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": _make_arithmetic(lambda a, b: a + b, lambda a, b: a + b),
    "-": _make_arithmetic(lambda a, b: a - b, lambda a, b: a - b),
    "*": _make_arithmetic(lambda a, b: a * b, lambda a, b: a * b),
    "/": _make_arithmetic(_divide_floats, _divide_ints),
    "%": _take_remainder,
    "^": _raise_power,
    "==": are_equal,
    "!=": lambda a, b: not are_equal(a, b),
    "<>": lambda a, b: not are_equal(a, b),
    "<": _make_ordering(lambda a, b: a < b),
    ">": _make_ordering(lambda a, b: a > b),
    "<=": _make_ordering(lambda a, b: a <= b),
    ">=": _make_ordering(lambda a, b: a >= b),
    "in": contains,
}
