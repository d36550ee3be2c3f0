"""Renders the templates of flows: pongo2's language on Jinja2's sandbox.

Owns the compiled templates, the limits and the words in which a failure is told. Must not know
flows, events or where the datastore is.

A template is read by pongo2's grammar (``template_lexer``, ``template_expressions``,
``template_syntax``) into a Jinja2 node tree that Jinja2 compiles; its nodes hold nothing but
calls of our operations (``template_runtime``), so there is no node that could reach an attribute
or method of a Python object, and the sandbox stands behind that. Values behave as Go's do
(``template_values``): numbers of events are floats and print with six decimals, ``{{ n }}`` of a
payload's 7 is ``7.000000`` and equals ``7.0`` but not ``7``.
"""

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flyte_host.embedded import flyte_functions
from flyte_host.embedded.pongo2 import filters
from flyte_host.embedded.pongo2.lexer import SyntaxFault
from flyte_host.embedded.pongo2.runtime import OPERATIONS, RUN, Budget, Run, bounded
from flyte_host.embedded.pongo2.syntax import parse
from flyte_host.embedded.pongo2.values import Fault, at, kind, well_formed

_CACHED = 512
_LONGEST_CACHED = 20_000
_SHOWN = 200

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


class TemplateFailed(ValueError):
    """A template cannot be read or rendered; says which one, its line where known, and why."""


class Templates:
    """Renders templates; safe to use from many threads at once.

    ``datastore(key)`` gives ``(content type, bytes)`` or None. ``max_output_characters`` bounds
    what one rendering writes, all of ``template()`` and filter blocks included;
    ``max_seconds`` bounds its time, looked at in every loop, filter and output.
    """

    def __init__(
        self,
        datastore: Callable[[str], tuple[str, bytes] | None],
        *,
        now: Callable[[], datetime],
        random: random.Random,
        max_output_characters: int = 1_000_000,
        max_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._limits = (max_output_characters, max_seconds, clock)
        self._functions = flyte_functions.functions(datastore, random)
        self._filters = {
            **filters.FILTERS,
            **flyte_functions.FILTERS,
            "random": lambda value, _: _one_of(value, random),
        }
        self._environment = _environment(self._filters)
        self._cached = lru_cache(maxsize=_CACHED)(self._compiled)

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        """The text of a template; ``variables`` are JSON values and datetimes.

        Raises TemplateFailed.
        """
        budget = Budget(*self._limits)
        run = Run(variables, self._functions, budget, self._now, self._rendered)
        try:
            return well_formed(self._rendered(text, run))
        except Fault as fault:
            raise TemplateFailed(_message(text, fault)) from None

    def check(self, text: str) -> None:
        """Raises TemplateFailed for a template that could never be rendered."""
        try:
            self._template(text)
        except Fault as fault:
            raise TemplateFailed(_message(text, fault)) from None

    def _template(self, text: str) -> jinja2.Template:
        return self._cached(text) if len(text) <= _LONGEST_CACHED else self._compiled(text)

    def _compiled(self, text: str) -> jinja2.Template:
        try:
            return self._environment.from_string(parse(text, self._filters))
        except SyntaxFault as fault:
            raise _at_line(fault, fault.line) from None
        except (RecursionError, SyntaxError, MemoryError):
            # Python's own limits on what is nested or chained.
            raise Fault("it is nested too deeply or too large") from None

    def _rendered(self, text: str, run: Run) -> str:
        template = self._template(text)
        context = template.new_context({RUN: run})
        try:
            return "".join(template.root_render_func(context))
        except Fault as fault:
            raise _at_line(fault, _line(template, fault.__traceback__)) from None


def _environment(known: Mapping[str, filters.Filter]) -> jinja2.Environment:
    # Not optimized: constant expressions are to be worked out under a rendering's limits.
    environment = ImmutableSandboxedEnvironment(optimized=False, autoescape=False, cache_size=0)
    environment.globals = {}
    environment.tests = {}
    environment.filters = OPERATIONS | {name: bounded(apply) for name, apply in known.items()}
    return environment


def _one_of(value: Any, chance: random.Random) -> Any:
    if kind(value) in {"slice", "string"} and value:
        return at(value, chance.randrange(len(value)))
    return value


def _at_line(fault: Fault, line: int) -> Fault:
    return Fault(f"line {line}: {fault}")


def _line(template: jinja2.Template, trace: TracebackType | None) -> int:
    """The template's line at which this failed, by the outermost of its frames."""
    compiled = template.root_render_func.__code__.co_filename
    while trace and trace.tb_frame.f_code.co_filename != compiled:
        trace = trace.tb_next
    return template.get_corresponding_lineno(trace.tb_lineno) if trace else 1


def _message(text: str, fault: Fault) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"template {shown!r}: {fault}"


def parse_bool(text: str) -> bool:
    """Go's ParseBool: what the text of a step's criteria has to be.

    Raises ValueError, which names the text, for all but 1 t T TRUE true True 0 f F FALSE false
    False.
    """
    if text in _TRUE | _FALSE:
        return text in _TRUE
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    raise ValueError(
        f"{shown!r} is no bool: 1, t, T, TRUE, true, True, 0, f, F, FALSE, false or False is"
        " expected, without spaces"
    )
