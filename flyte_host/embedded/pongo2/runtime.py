"""What a template does while it is rendered, and what stops it.

Owns the variables in sight, the limits of one rendering and the operations that
:mod:`flyte_host.embedded.pongo2.expressions` and ``template_syntax`` put into the node tree.
Must not know pongo2's grammar or where templates come from.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from flyte_host.embedded.flyte_functions import Function
from flyte_host.embedded.pongo2.filters import Filter
from flyte_host.embedded.pongo2.operators import OPERATORS, equal, negated, negative
from flyte_host.embedded.pongo2.regex import replaced
from flyte_host.embedded.pongo2.times import formatted
from flyte_host.embedded.pongo2.values import (
    Fault,
    Loop,
    by_index,
    by_name,
    element,
    integer,
    is_true,
    items,
    kind,
    number,
    text,
)

RUN = "$run"
"""The variable that holds the Run; no template can write this name."""

_DEEPEST_TEMPLATE = 10


@dataclass(slots=True)
class Budget:
    """What a rendering may use up, with everything that it renders by ``template()``."""

    characters: int
    seconds: float
    clock: Callable[[], float]
    left: int = field(init=False)
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.characters
        self.deadline = self.clock() + self.seconds

    def tick(self) -> None:
        if self.clock() > self.deadline:
            raise Fault(f"it took longer than {self.seconds:g} s")

    def fit(self, value: Any) -> Any:
        """The value, if it is no longer than the whole output may be."""
        if isinstance(value, str) and len(value) > self.characters:
            raise Fault(f"a text grew longer than {self.characters:,} characters")
        return value

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise Fault(f"it made more than {self.characters:,} characters")


@dataclass(slots=True)
class Run:
    """One rendering: ``local`` names are the template's own and hide all others."""

    variables: Mapping[str, Any]
    functions: Mapping[str, Function]
    budget: Budget
    now: Callable[[], datetime]
    render: "Callable[[str, Run], str]"
    depth: int = 0
    local: dict[str, Any] = field(default_factory=dict)
    outer: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[int, Any] = field(default_factory=dict)

    def variable(self, name: str) -> Any:
        if name in self.local:
            return self.local[name]
        if name in self.functions or name == "template":
            raise Fault(f"{name} is a function: write {name}(…)")
        return element(self.variables.get(name))

    def enter(self) -> None:
        self.outer.append(self.local)
        self.local = dict(self.local)

    def leave(self) -> None:
        self.local = self.outer.pop()

    def template(self, source: Any, variables: Mapping[str, Any]) -> str:
        if self.depth >= _DEEPEST_TEMPLATE:
            raise Fault(f"template() is nested deeper than {_DEEPEST_TEMPLATE}")
        inner = Run(variables, self.functions, self.budget, self.now, self.render, self.depth + 1)
        try:
            return self.render(text(source), inner)
        except Fault as fault:
            raise Fault(f"template(): {fault}") from None


def _run(context: Context) -> Run:
    run: Run = context.parent[RUN]
    return run


def bounded(apply: Filter) -> Callable[..., Any]:
    """The filter under the rendering's limits."""

    @pass_context
    def call(context: Context, value: Any, argument: Any = None) -> Any:
        budget = _run(context).budget
        budget.tick()
        return budget.fit(apply(value, argument))

    return call


@pass_context
def _print(context: Context, value: Any) -> str:
    budget = _run(context).budget
    shown = text(value)
    budget.tick()
    budget.spend(len(shown))
    return shown


@pass_context
def _variable(context: Context, name: str) -> Any:
    return _run(context).variable(name)


@pass_context
def _call(context: Context, name: str, *arguments: Any) -> Any:
    run = _run(context)
    run.budget.tick()
    function = run.functions.get(name)
    if name == "template":
        function = Function(("any", "map"), run.template)
    if function is None or name in run.local:
        raise Fault(f"there is no function {name!r}")
    _check(name, function.parameters, arguments)
    return run.budget.fit(function.call(*arguments))


def _check(name: str, parameters: tuple[str, ...], arguments: tuple[Any, ...]) -> None:
    if len(arguments) != len(parameters):
        takes = f"takes {len(parameters)} value(s), not {len(arguments)}"
        raise Fault(f"{name}({', '.join(parameters)}) {takes}")
    for parameter, argument in zip(parameters, arguments, strict=True):
        found = kind(argument)
        if found == "nil":
            raise Fault(f"{name}({', '.join(parameters)}) was given nil")
        if parameter not in {"any", found}:
            hint = ", use |integer" if parameter == "int" and found == "float64" else ""
            raise Fault(f"{name}({', '.join(parameters)}) was given a {found}{hint}")


def _method(value: Any, name: str, *arguments: Any) -> Any:
    if isinstance(value, datetime):
        if name == "Format" and len(arguments) == 1:
            return formatted(value, text(arguments[0]))
        if not arguments and (result := by_name(value, name)) is not None:
            return result
    raise Fault(f"{name!r} is not a function of a {kind(value)}")


@pass_context
def _set(context: Context, value: Any, name: str) -> Any:
    _run(context).local[name] = value
    return value


@pass_context
def _enter(context: Context, names: tuple[str, ...], *values: Any) -> None:
    run = _run(context)
    run.enter()
    run.local.update(zip(names, values, strict=True))


@pass_context
def _leave(context: Context, _nothing: None) -> None:
    _run(context).leave()


@pass_context
def _each(
    context: Context, value: Any, names: tuple[str, ...], backwards: bool, in_order: bool
) -> Iterator[None]:
    run = _run(context)
    met = list(items(value, backwards=backwards, in_order=in_order))
    run.enter()
    parent = run.local.get("forloop")
    for counter, item in enumerate(met, 1):
        run.budget.tick()
        run.local.update(zip(names, item, strict=False))
        run.local["forloop"] = Loop(counter, len(met), parent if isinstance(parent, Loop) else None)
        yield
    run.leave()


@pass_context
def _cycle(context: Context, state: int, *values: Any) -> Any:
    kept = _run(context).kept
    turn = kept.get(state, 0)
    kept[state] = turn + 1
    return values[turn % len(values)]


@pass_context
def _changed(context: Context, state: int, *values: Any) -> bool:
    kept = _run(context).kept
    before = kept.get(state)
    kept[state] = values
    return before is None or not all(map(equal, before, values))


@pass_context
def _now(context: Context, layout: str) -> str:
    now = _run(context).now()
    return formatted(now if now.tzinfo else now.replace(tzinfo=UTC), layout)


def _widthratio(value: Any, most: Any, width: Any) -> int:
    whole = number(most)
    if not whole:
        raise Fault("widthratio divides by zero")
    ratio = number(value) / whole * number(width)
    return math.ceil(ratio) if math.isfinite(ratio) else integer(ratio)


def _spaceless(value: str) -> str:
    return replaced(r">[\t\n\v\f\r ]+<", "><", value)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{f"${sign}": operator for sign, operator in OPERATORS.items()},
    "$call": _call,
    "$changed": _changed,
    "$cycle": _cycle,
    "$each": _each,
    "$enter": _enter,
    "$field": by_name,
    "$index": by_index,
    "$leave": _leave,
    "$method": _method,
    "$negative": negative,
    "$not": negated,
    "$now": _now,
    "$print": _print,
    "$set": _set,
    "$spaceless": _spaceless,
    "$true": is_true,
    "$variable": _variable,
    "$widthratio": _widthratio,
}
"""By the names that the node tree has."""
