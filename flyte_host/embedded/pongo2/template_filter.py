"""A filter: what it does, and how large a value it accepts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_host.embedded.pongo2.budget import Budget
from flyte_host.embedded.pongo2.limits import MAX_ARGUMENT, check_size

Apply = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class TemplateFilter:
    """``apply(value, argument)`` returns a value or raises TemplateFault.

    ``characters`` is how long the value may be. None means any size: such a filter looks at a few
    items at most, and returns one of them or something small.
    """

    apply: Apply
    characters: int | None = None
    argument_characters: int = MAX_ARGUMENT

    def run(self, name: str, value: Any, argument: Any, budget: Budget) -> Any:
        """Apply the filter within the limits of a rendering."""
        budget.tick()
        if self.characters is None:
            return self.apply(value, argument)
        check_size(value, self.characters, name)
        budget.check_room(value)
        check_size(argument, self.argument_characters, f"the argument of {name}")
        return budget.keep(self.apply(value, argument))


def limit_filters(table: Mapping[str, Apply], characters: int | None) -> dict[str, TemplateFilter]:
    """Make filters that all take values of this length."""
    return {name: TemplateFilter(apply, characters) for name, apply in table.items()}
