"""Bounds what all renderings for one event take together."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_host.embedded.steps import Renderer

MAX_EVENT_SECONDS = 20.0
MAX_EVENT_CHARACTERS = 64_000_000


class RationedRenderer:
    """Renders for one event; raises ValueError once its time or text is used up."""

    def __init__(self, templates: Renderer, clock: Callable[[], float]) -> None:
        self._templates = templates
        self._clock = clock
        self._seconds = MAX_EVENT_SECONDS
        self._characters = MAX_EVENT_CHARACTERS

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        if self._seconds < 0:
            raise ValueError(f"the templates of this event took over {MAX_EVENT_SECONDS:g} s")
        start = self._clock()
        try:
            rendered = self._templates.render(text, variables)
        finally:
            self._seconds -= self._clock() - start
        self._characters -= len(rendered)
        if self._characters < 0:
            raise ValueError(
                f"the templates of this event write over {MAX_EVENT_CHARACTERS} characters"
            )
        return rendered
