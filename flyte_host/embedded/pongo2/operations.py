"""What the nodes of a template do while it is rendered.

``expression_parser`` and ``template_parser`` put these operations into the node tree, by names
that begin with ``$``, which no template can write.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.filters import Filter
from flyte_host.embedded.pongo2.operators import OPERATORS, are_equal, invert, negate
from flyte_host.embedded.pongo2.regex import replace_matches
from flyte_host.embedded.pongo2.rendering import RENDERING, Rendering
from flyte_host.embedded.pongo2.times import format_time
from flyte_host.embedded.pongo2.values import (
    LoopCounter,
    get_field,
    get_index,
    is_true,
    iterate,
    kind_of,
    to_float,
    to_int,
    to_text,
)


def _get_rendering(context: Context) -> Rendering:
    rendering: Rendering = context.parent[RENDERING]
    return rendering


def bound_filter(apply: Filter) -> Callable[..., Any]:
    """Hold a filter to the limits of the rendering."""

    @pass_context
    def call(context: Context, value: Any, argument: Any = None) -> Any:
        budget = _get_rendering(context).budget
        budget.tick()
        return budget.fit(apply(value, argument))

    return call


@pass_context
def _print(context: Context, value: Any) -> str:
    budget = _get_rendering(context).budget
    shown = to_text(value)
    budget.tick()
    budget.spend(len(shown))
    return shown


@pass_context
def _variable(context: Context, name: str) -> Any:
    return _get_rendering(context).look_up(name)


@pass_context
def _call(context: Context, name: str, *arguments: Any) -> Any:
    return _get_rendering(context).call(name, arguments)


def _method(value: Any, name: str, *arguments: Any) -> Any:
    if isinstance(value, datetime):
        if name == "Format" and len(arguments) == 1:
            return format_time(value, to_text(arguments[0]))
        if not arguments and (result := get_field(value, name)) is not None:
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
    met = list(iterate(value, backwards=backwards, in_order=in_order))
    rendering.enter()
    parent = rendering.local.get("forloop")
    for counter, item in enumerate(met, 1):
        rendering.budget.tick()
        rendering.local.update(zip(names, item, strict=False))
        rendering.local["forloop"] = LoopCounter(
            counter, len(met), parent if isinstance(parent, LoopCounter) else None
        )
        yield
    rendering.leave()


@pass_context
def _cycle(context: Context, state: int, *values: Any) -> Any:
    kept = _get_rendering(context).kept
    turn = kept.get(state, 0)
    kept[state] = turn + 1
    return values[turn % len(values)]


@pass_context
def _changed(context: Context, state: int, *values: Any) -> bool:
    kept = _get_rendering(context).kept
    before = kept.get(state)
    kept[state] = values
    return before is None or not all(map(are_equal, before, values))


@pass_context
def _now(context: Context, layout: str) -> str:
    now = _get_rendering(context).now()
    return format_time(now if now.tzinfo else now.replace(tzinfo=UTC), layout)


def _widthratio(value: Any, most: Any, width: Any) -> int:
    whole = to_float(most)
    if not whole:
        raise TemplateFault("widthratio divides by zero")
    ratio = to_float(value) / whole * to_float(width)
    return math.ceil(ratio) if math.isfinite(ratio) else to_int(ratio)


def _spaceless(value: str) -> str:
    return replace_matches(r">[\t\n\v\f\r ]+<", "><", value)


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
