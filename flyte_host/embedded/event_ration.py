"""Bounds what one event may cost: the time and text of its templates, the bytes it stores."""

from collections.abc import Mapping
from typing import Any, Protocol

from flyte_host.embedded.pongo2.work_limit import THREAD_CLOCK, WorkClock, WorkLimit

MAX_EVENT_SECONDS = 20.0
MAX_EVENT_CHARACTERS = 64_000_000
MAX_EVENT_BYTES = 64_000_000


class Renderer(Protocol):
    """Renders templates; an exception says why one cannot be rendered."""

    def render(self, text: str, variables: Mapping[str, Any]) -> str: ...


class EventRation:
    """What is left for one event; raises ValueError once something is used up.

    Time is the CPU time of the event's thread: a busy machine must not make a step fail.
    """

    def __init__(self, templates: Renderer, clock: WorkClock = THREAD_CLOCK) -> None:
        self._templates = templates
        self._work = WorkLimit(MAX_EVENT_SECONDS, clock)
        self._characters = MAX_EVENT_CHARACTERS
        self._bytes = MAX_EVENT_BYTES

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        if self._work.is_over():
            raise ValueError(f"the templates of this event took over {MAX_EVENT_SECONDS:g} s")
        rendered = self._templates.render(text, variables)
        self._characters -= len(rendered)
        if self._characters < 0:
            raise ValueError(
                f"the templates of this event write over {MAX_EVENT_CHARACTERS} characters"
            )
        return rendered

    def store(self, size: int) -> None:
        """Pay for ``size`` bytes of an action's input and context."""
        self._bytes -= size
        if self._bytes < 0:
            raise ValueError(f"the actions of this event hold over {MAX_EVENT_BYTES} bytes")
