"""What the nodes of a template do while it is rendered.

``expression_parser``, ``template_parser`` and ``tags`` put these operations into the node tree, by
names that begin with ``$``, which no template can write.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_ARGUMENT, check_size
from flyte_host.embedded.pongo2.operators import OPERATORS, are_equal, invert, negate
from flyte_host.embedded.pongo2.rendering import RENDERING, Rendering
from flyte_host.embedded.pongo2.template_filter import TemplateFilter
from flyte_host.embedded.pongo2.times import call_method, format_time
from flyte_host.embedded.pongo2.values import (
    CycleValue,
    LoopCounter,
    get_field,
    get_index,
    is_true,
    iterate,
    kind_of,
    length_of,
    to_float,
    to_int,
    to_text,
)

# Python's engine takes linear time for this pattern.
_GAP = re.compile(r">[\t\n\v\f\r ]+<")
_FAKE_NOW = datetime(2014, 2, 5, 18, 31, 45, tzinfo=UTC)
"""What ``{% now … fake %}`` prints."""


def _get_rendering(context: Context) -> Rendering:
    rendering: Rendering = context.parent[RENDERING]
    return rendering


def bind_filter(name: str, template_filter: TemplateFilter) -> Callable[..., Any]:
    """Make the Jinja2 filter that applies this one."""

    @pass_context
    def call(context: Context, value: Any, argument: Any = None) -> Any:
        return template_filter.run(name, value, argument, _get_rendering(context).budget)

    return call


@pass_context
def _print(context: Context, value: Any) -> str:
    budget = _get_rendering(context).budget
    shown = to_text(value)
    budget.tick()
    budget.write(shown)
    return shown


@pass_context
def _variable(context: Context, name: str) -> Any:
    return _get_rendering(context).look_up(name)


@pass_context
def _call(context: Context, name: str, *arguments: Any) -> Any:
    return _get_rendering(context).call(name, arguments)


def _method(value: Any, name: str, *arguments: Any) -> Any:
    if isinstance(value, datetime):
        for argument in arguments:
            check_size(argument, MAX_ARGUMENT, f"the argument of {name}")
        if (result := call_method(value, name, arguments)) is not None:
            return result
    raise TemplateFault(f"{name!r} is not a function of a {kind_of(value)}")


@pass_context
def _set(context: Context, value: Any, name: str) -> Any:
    _get_rendering(context).local[name] = value
    return value


@pass_context
def _enter(context: Context, names: tuple[str, ...], *values: Any) -> None:
    rendering = _get_rendering(context)
    rendering.enter()
    rendering.local.update(zip(names, values, strict=True))


@pass_context
def _leave(context: Context, _nothing: None) -> None:
    _get_rendering(context).leave()


@pass_context
def _each(
    context: Context, value: Any, names: tuple[str, ...], backwards: bool, in_order: bool
) -> Iterator[None]:
    rendering = _get_rendering(context)
    rendering.enter()
    around = rendering.local.get("forloop")
    parent = around if isinstance(around, LoopCounter) else None
    count = length_of(value)
    for counter, item in iterate(value, backwards=backwards, in_order=in_order):
        rendering.budget.tick()
        rendering.local.update(zip(names, item, strict=False))
        rendering.local["forloop"] = LoopCounter(counter, count, parent)
        yield
    rendering.leave()


@pass_context
def _cycle(context: Context, state: int, name: str | None, is_silent: bool, *values: Any) -> Any:
    """Give the next value; one that is itself a named cycle goes on in its place."""
    rendering = _get_rendering(context)
    turn = rendering.count_turn(state)
    value = values[turn % len(values)]
    if isinstance(value, CycleValue):
        value.move_to(rendering.count_turn(value.state))
        return "" if value.is_silent else value
    if name:
        rendering.local[name] = CycleValue(state, values, value, is_silent=is_silent)
    return "" if is_silent else value


@pass_context
def _changed(context: Context, state: int, *values: Any) -> bool:
    kept = _get_rendering(context).kept
    before = kept.get(state)
    kept[state] = values
    return before is None or not all(map(are_equal, before, values))


@pass_context
def _now(context: Context, layout: str, fake: bool) -> str:
    check_size(layout, MAX_ARGUMENT, "now")
    now = _FAKE_NOW if fake else _get_rendering(context).now()
    return format_time(now if now.tzinfo else now.replace(tzinfo=UTC), layout)


def _widthratio(value: Any, most: Any, width: Any) -> int:
    whole = to_float(most)
    if not whole:
        raise TemplateFault("widthratio divides by zero")
    # Go adds a half and still rounds up.
    ratio = to_float(value) / whole * to_float(width) + 0.5
    return math.ceil(ratio) if math.isfinite(ratio) else to_int(ratio)


def _spaceless(value: str) -> str:
    return _GAP.sub("><", value)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{f"${sign}": operator for sign, operator in OPERATORS.items()},
    "$call": _call,
    "$changed": _changed,
    "$cycle": _cycle,
    "$each": _each,
    "$enter": _enter,
    "$field": get_field,
    "$index": get_index,
    "$leave": _leave,
    "$method": _method,
    "$negative": negate,
    "$not": invert,
    "$now": _now,
    "$print": _print,
    "$set": _set,
    "$spaceless": _spaceless,
    "$true": is_true,
    "$variable": _variable,
    "$widthratio": _widthratio,
}
"""By their names in the node tree."""
