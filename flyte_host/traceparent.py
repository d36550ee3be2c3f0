"""W3C trace context: which trace something belongs to, as a line of text.

Owns the headers ``traceparent`` and ``tracestate``, and the text in which everybody else keeps a
context and passes it on unread: the traceparent, and after a space the tracestate if there is one.
Empty: no trace. Must not know who records spans; nothing of OpenTelemetry is needed here.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import NamedTuple

CURRENT: ContextVar[str] = ContextVar("the trace context of what runs here", default="")
"""Set in each handler's context and by :func:`continue_trace`; tasks and callbacks inherit it."""

LONGEST_STATE = 512
"""Characters of a tracestate that have to be passed on; a longer one is left out."""
_PARENT = re.compile(
    r"(?:00|(?!ff)[0-9a-f]{2}(?=.{53}(?:-|\Z)))-"
    r"(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})(?P<span_id>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = rf"{_KEY}=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]"
_STATE = re.compile(rf"(?=.{{1,{LONGEST_STATE}}}\Z){_MEMBER}(?: *, *{_MEMBER}){{0,31}}")


class Traceparent(NamedTuple):
    """A span as its children name it; ids and flags are in hex."""

    trace_id: str
    span_id: str
    flags: str
    state: str = ""

    def __str__(self) -> str:
        """The text for everybody else."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags} {self.state}".rstrip()


def parse_traceparent(text: str) -> Traceparent | None:
    """Undo ``str``; None for the empty text, or one that is not a trace context."""
    parent, _, state = text.partition(" ")
    found = _PARENT.match(parent)
    if found is None or (parent.startswith("00") and found.end() < len(parent)):
        return None
    return Traceparent(**found.groupdict(), state=state if _STATE.fullmatch(state) else "")


def read_trace(headers: Mapping[str, str]) -> str:
    """The context in headers with lower-case names; empty if there is none, or not a valid one."""
    parent = headers.get("traceparent")
    if parent is None:
        return ""
    state = headers.get("tracestate") or ""
    found = parse_traceparent(f"{parent.strip()} {state.strip()}")
    return "" if found is None else str(found)


def write_trace(trace: str) -> dict[str, str]:
    """The headers of a context."""
    parent, _, state = trace.partition(" ")
    headers = {"traceparent": parent} if parent else {}
    return headers | {"tracestate": state} if state else headers


def trace_id_of(trace: str) -> str:
    """The id of the whole trace; empty if there is none."""
    return trace[3:35]


def is_sampled(trace: str) -> bool:
    """Whether the callers before recorded their spans."""
    return bool(trace) and int(trace[53:55], 16) & 1 == 1


def trace_headers() -> dict[str, str]:
    """The headers for HTTP requests of a handler: its callee's spans join the trace of its action.

    ``traceparent`` and, if there is one, ``tracestate``, as W3C's Trace Context has them. Works in
    a handler and in the tasks that it starts; in a thread that it starts, only with the handler's
    context (``contextvars.copy_context().run``). Empty where there is no trace: so it may always be
    merged into a request's headers.
    """
    return write_trace(CURRENT.get())


def continue_trace(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """What an observer emits inside belongs to the trace of a request that came with ``headers``.

    Their names are in lower case. Without a valid ``traceparent`` the event begins a trace, as it
    does elsewhere.
    """
    return within_trace(read_trace(headers))


@contextmanager
def within_trace(trace: str) -> Iterator[None]:
    """What runs inside, in this thread or task, has this trace context."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)
