"""The vocabulary of a plugin author, and nothing else.

A pack plugin needs these names and no other of this distribution: they describe what a pack
offers (:class:`PackDef`, :class:`Command`, :class:`EventDef`, :class:`HealthCheck`), what it
answers (:class:`Event`, :class:`Health`, :func:`fatal_event`), what it is given (:class:`Action`,
:data:`Emit`), how it is found (:data:`hookimpl`), what carries its trace on
(:func:`trace_headers`, :func:`continue_trace`), and what keeps secrets out of its texts
(:class:`Scrubber`). Each is imported when it is first used: the
command line needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_host.hookspecs import Emit, hookimpl
    from flyte_host.model import (
        Action,
        Command,
        Event,
        EventDef,
        Handler,
        Health,
        HealthCheck,
        NotSetUp,
        PackDef,
        fatal_event,
    )
    from flyte_host.secrets import Scrubber
    from flyte_host.traceparent import continue_trace, trace_headers

__all__ = [
    "Action",
    "Command",
    "Emit",
    "Event",
    "EventDef",
    "Handler",
    "Health",
    "HealthCheck",
    "NotSetUp",
    "PackDef",
    "Scrubber",
    "continue_trace",
    "fatal_event",
    "hookimpl",
    "trace_headers",
]
_MODULES = {
    "Emit": "hookspecs",
    "Scrubber": "secrets",
    "continue_trace": "traceparent",
    "hookimpl": "hookspecs",
    "trace_headers": "traceparent",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, 'model')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
