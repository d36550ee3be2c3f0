"""The vocabulary of a plugin author, and nothing else.

A pack plugin needs these names and no other of this distribution: they describe what a pack
offers (:class:`PackDef`, :class:`Command`, :class:`EventDef`, :class:`HealthCheck`), what it
answers (:class:`Event`, :class:`Health`, :func:`fatal_event`) and how it is found
(:data:`hookimpl`).
"""

from flyte_host.hookspecs import hookimpl
from flyte_host.model import (
    Action,
    Command,
    Event,
    EventDef,
    Health,
    HealthCheck,
    PackDef,
    fatal_event,
)

__all__ = [
    "Action",
    "Command",
    "Event",
    "EventDef",
    "Health",
    "HealthCheck",
    "PackDef",
    "fatal_event",
    "hookimpl",
]
