"""The limits of one rendering.

A rendering looks at its CPU time between operations. The cost of a single operation is limited
beforehand, by the size of its operands (``limits``). Memory is limited by counting everything that
a template makes, whether it keeps it or not.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_MADE_BYTES, MAX_TEXT
from flyte_host.embedded.pongo2.work_limit import WorkClock, WorkLimit

_SMALL_BYTES = 512
"""Smaller values are not counted: a template has too few names to keep many of them."""


@dataclass(slots=True)
class Budget:
    """What a rendering may still use; the templates that it renders share it."""

    characters: int
    seconds: float
    clock: WorkClock
    left: int = field(init=False)
    left_bytes: int = MAX_MADE_BYTES
    work: WorkLimit = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.characters
        self.work = WorkLimit(self.seconds, self.clock)

    def tick(self) -> None:
        if self.work.is_over():
            raise TemplateFault(f"it took longer than {self.seconds:g} s")

    def keep(self, value: Any) -> Any:
        """Return a value that a filter or function made, if there is room for it."""
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise TemplateFault(f"a text grew longer than {MAX_TEXT:,} characters")
        self.make(_measure(value))
        return value

    def check_room(self, value: Any) -> None:
        """Refuse to work on a text if there is no room for another one of its size."""
        if isinstance(value, str) and sys.getsizeof(value) > max(self.left_bytes, _SMALL_BYTES):
            raise TemplateFault(f"it makes more than {MAX_MADE_BYTES:,} bytes of values")

    def make(self, size: int) -> None:
        """Count ``size`` bytes, if possible before they are made."""
        if size > _SMALL_BYTES:
            self.left_bytes -= size
            if self.left_bytes < 0:
                raise TemplateFault(f"it makes more than {MAX_MADE_BYTES:,} bytes of values")

    def write(self, shown: str) -> None:
        self.left -= len(shown)
        if self.left < 0:
            raise TemplateFault(f"it wrote more than {self.characters:,} characters")
        self.make(sys.getsizeof(shown))


def _measure(value: Any) -> int:
    size = sys.getsizeof(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        size += sum(map(sys.getsizeof, value))
    return size
