"""Templates compiled by Jinja2."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flyte_host.embedded.pongo2.faults import TemplateFault, TemplateSyntaxFault
from flyte_host.embedded.pongo2.operations import OPERATIONS, bind_filter
from flyte_host.embedded.pongo2.tags import TAGS
from flyte_host.embedded.pongo2.template_cache import TemplateCache
from flyte_host.embedded.pongo2.template_filter import TemplateFilter
from flyte_host.embedded.pongo2.template_parser import TemplateParser

T = TypeVar("T")


class _CompilerThread:
    """The one thread in which all templates are compiled.

    Compiling a template takes fifty times the memory of the result, and that memory stays with the
    thread. It starts when first needed, and again if something ended it; a forked process starts
    its own.
    """

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    def run(self, compile_text: Callable[[str], T], text: str) -> T:
        """Run ``compile_text`` in that thread; return or raise what it does."""
        with self._lock:
            if self._pool is None or (self._thread and not self._thread.is_alive()):
                self._pool = ThreadPoolExecutor(1, "template-compiler", self._begin)
            try:
                waiting = self._pool.submit(compile_text, text)
            except RuntimeError:  # the machine has no room for a thread just now
                self._pool = None
                waiting = None
        return compile_text(text) if waiting is None else waiting.result()

    def _begin(self) -> None:
        self._thread = threading.current_thread()


_compiling = _CompilerThread()


class TemplateCompiler:
    """Reads and compiles templates that may use these filters; safe to use from many threads."""

    def __init__(self, filters: Mapping[str, TemplateFilter]) -> None:
        self._filters = filters
        self._environment = _make_environment(filters)
        self._cache = TemplateCache()
        self._process = os.getpid()

    def compile(self, text: str) -> tuple[jinja2.Template, float]:
        """Return the template, and the CPU seconds that it took. Raises TemplateFault."""
        if self._process != os.getpid():  # another thread may have held the cache at the fork
            self._cache, self._process = TemplateCache(), os.getpid()
        template = self._cache.get(text)
        if template is not None:
            return template, 0.0
        return _compiling.run(self._compile, text)

    def _compile(self, text: str) -> tuple[jinja2.Template, float]:
        start = time.thread_time()
        template = self._cache.get(text) or self._read(text)
        self._cache.put(text, template)
        return template, time.thread_time() - start

    def _read(self, text: str) -> jinja2.Template:
        try:
            return self._environment.from_string(TemplateParser(text, self._filters, TAGS).parse())
        except TemplateSyntaxFault as fault:
            raise fault.at_line(fault.line) from None
        except (RecursionError, SyntaxError, MemoryError):
            # Python limits how deep its own code may be nested or chained.
            raise TemplateFault("it is nested too deeply or too large") from None


def _make_environment(filters: Mapping[str, TemplateFilter]) -> jinja2.Environment:
    # Not optimized: constant expressions have to be evaluated within a rendering's limits.
    environment = ImmutableSandboxedEnvironment(optimized=False, autoescape=False, cache_size=0)
    environment.globals = {}
    environment.tests = {}
    bound = {name: bind_filter(name, each) for name, each in filters.items()}
    environment.filters = OPERATIONS | bound
    return environment
