"""The limits of one rendering."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault


@dataclass(slots=True)
class Budget:
    """What a rendering may still use, shared with every template that it renders in turn."""

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
            raise TemplateFault(f"it took longer than {self.seconds:g} s")

    def fit(self, value: Any) -> Any:
        """Return the value if it is no longer than the whole output may be."""
        if isinstance(value, str) and len(value) > self.characters:
            raise TemplateFault(f"a text grew longer than {self.characters:,} characters")
        return value

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise TemplateFault(f"it made more than {self.characters:,} characters")
