"""Renders templates: pongo2's language on Jinja2's sandbox.

``lexer``, ``expression_parser``, ``template_parser`` and ``tags`` read a template by pongo2's
grammar and make a Jinja2 node tree, which Jinja2 compiles. All nodes are calls of our
``operations``: none can reach an attribute or method of a Python object, and the sandbox is a
second barrier. Values behave as in Go (``values``): numbers in data are floats and print with six
decimals, so ``{{ n }}`` of a JSON 7 is ``7.000000`` and equals ``7.0`` but not ``7``.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

import jinja2

from flyte_host.embedded.pongo2.budget import Budget
from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.filters import make_filters
from flyte_host.embedded.pongo2.lexer import is_plain
from flyte_host.embedded.pongo2.rendering import RENDERING, Rendering, TemplateFunction
from flyte_host.embedded.pongo2.template_compiler import TemplateCompiler
from flyte_host.embedded.pongo2.template_filter import TemplateFilter
from flyte_host.embedded.pongo2.values import replace_surrogates
from flyte_host.embedded.pongo2.work_limit import THREAD_CLOCK, WorkClock

_SHOWN = 200
_LONGEST_FAULT = 1000


class TemplateFailed(ValueError):
    """A template cannot be read or rendered; says which one, its line where known, and why."""


class Templates:
    """Renders templates; safe to use from many threads at once.

    ``filters`` and ``functions`` are the caller's own, beside pongo2's. ``max_output_characters``
    bounds what one rendering writes, nested templates and filter blocks included; ``max_seconds``
    bounds the CPU time of the rendering thread: a busy machine does not shorten it.
    """

    def __init__(
        self,
        filters: Mapping[str, TemplateFilter],
        functions: Mapping[str, TemplateFunction],
        *,
        now: Callable[[], datetime],
        rng: random.Random,
        max_output_characters: int = 1_000_000,
        max_seconds: float = 2.0,
        clock: WorkClock = THREAD_CLOCK,
    ) -> None:
        self._now = now
        self._limits = (max_output_characters, max_seconds, clock)
        self.functions = functions
        self.filters = make_filters(rng) | dict(filters)
        self._compiler = TemplateCompiler(self.filters)

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        """Render a template; ``variables`` are JSON values, datetimes and those of ``values``.

        Raises TemplateFailed.
        """
        rendering = Rendering(
            variables, self.functions, Budget(*self._limits), self._now, self._render
        )
        try:
            return replace_surrogates(self._render(text, rendering))
        except TemplateFault as fault:
            raise TemplateFailed(_describe(text, fault)) from None

    def check(self, text: str) -> None:
        """Raise TemplateFailed for a template that could never be rendered."""
        try:
            if not is_plain(text):
                self._compiler.compile(text)
        except TemplateFault as fault:
            raise TemplateFailed(_describe(text, fault)) from None

    def _render(self, text: str, rendering: Rendering) -> str:
        if is_plain(text):
            rendering.budget.write(text)
            return text
        template, seconds = self._compiler.compile(text)
        rendering.budget.work.charge(seconds)
        context = template.new_context({RENDERING: rendering})
        try:
            rendering.budget.tick()
            rendered = "".join(template.root_render_func(context))
            rendering.budget.tick()
        except TemplateFault as fault:
            raise fault.at_line(_find_line(template, fault.__traceback__)) from None
        return rendered


def _find_line(template: jinja2.Template, trace: TracebackType | None) -> int:
    """Return the line of the template that failed, from the outermost of its frames."""
    compiled = template.root_render_func.__code__.co_filename
    while trace and trace.tb_frame.f_code.co_filename != compiled:
        trace = trace.tb_next
    return template.get_corresponding_lineno(trace.tb_lineno) if trace else 1


def _describe(text: str, fault: TemplateFault) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"template {shown!r}: {str(fault)[:_LONGEST_FAULT]}"
