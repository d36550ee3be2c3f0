"""One rendering of a template: its variables in scope, and the state of its tags."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.budget import Budget
from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import check_size
from flyte_host.embedded.pongo2.values import StringMap, kind_of, take_out, type_of

RENDERING = "$rendering"
"""The Jinja2 variable that holds the Rendering; no template can write this name."""

_DEEPEST = 10
_BUILT_IN = {"pongo2": {"version": "dev"}}


@dataclass(frozen=True, slots=True)
class TemplateFunction:
    """A function that templates can call.

    ``parameters`` are the types it takes, by Go's names; ``any`` takes everything.
    ``call`` gets the Rendering and then one argument for each parameter.
    """

    parameters: tuple[str, ...]
    call: "Callable[..., Any]"

    def check(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Raise TemplateFault unless the arguments have the types of the parameters."""
        signature = f"{name}({', '.join(self.parameters)})"
        if len(arguments) != len(self.parameters):
            takes = f"takes {len(self.parameters)} value(s), not {len(arguments)}"
            raise TemplateFault(f"{signature} {takes}")
        for parameter, argument in zip(self.parameters, arguments, strict=True):
            check_size(argument, what=name)
            # Go does not convert a map of strings to the map that its functions take.
            is_string_map = isinstance(argument, StringMap)
            found = type_of(argument) if is_string_map else kind_of(argument)
            if parameter in {"any", found}:
                continue
            if found == "nil":
                raise TemplateFault(f"{signature} was given nil")
            hint = ", use |integer" if parameter == "int" and found == "float64" else ""
            raise TemplateFault(f"{signature} was given a {found}{hint}")


@dataclass(slots=True)
class Rendering:
    """``local`` names are the template's own and hide all others."""

    variables: Mapping[str, Any]
    functions: Mapping[str, TemplateFunction]
    budget: Budget
    now: Callable[[], datetime]
    render: "Callable[[str, Rendering], str]"
    depth: int = 0
    local: dict[str, Any] = field(default_factory=_BUILT_IN.copy)
    outer: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[int, Any] = field(default_factory=dict)

    def look_up(self, name: str) -> Any:
        """Return the variable with this name, nil if there is none."""
        if name in self.local:
            return self.local[name]
        if name in self.functions:
            raise TemplateFault(f"{name} is a function: write {name}(…)")
        return take_out(self.variables.get(name))

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.budget.tick()
        function = self.functions.get(name)
        if function is None or name in self.local:
            raise TemplateFault(f"there is no function {name!r}")
        function.check(name, arguments)
        return self.budget.keep(function.call(self, *arguments))

    def count_turn(self, state: int) -> int:
        """Return how often this was called for the state of a tag before."""
        turn: int = self.kept.get(state, 0)
        self.kept[state] = turn + 1
        return turn

    def enter(self) -> None:
        """Open a scope: names that are set in it are gone after :meth:`leave`."""
        self.outer.append(self.local)
        self.local = dict(self.local)

    def leave(self) -> None:
        self.local = self.outer.pop()

    def render_nested(self, source: str, variables: Mapping[str, Any]) -> str:
        """Render another template, with its own variables, from this one's budget."""
        if self.depth >= _DEEPEST:
            raise TemplateFault(f"templates are nested deeper than {_DEEPEST}")
        return self.render(
            source,
            Rendering(
                variables, self.functions, self.budget, self.now, self.render, self.depth + 1
            ),
        )
