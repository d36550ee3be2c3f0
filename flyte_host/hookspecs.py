"""The hooks of a pack plugin: when each is called, with what, and what may come back.

Owns the signatures. The rules of merging are in ``packs``.
A hook that raises, hangs or returns something else makes its plugin *broken*: it is reported in
the log, in ``/ready``, by ``flyte-host packs`` and by the exit code of ``flyte-host check``, and
the other plugins are served.
"""

import threading
from collections.abc import Callable, Iterable

import pluggy

from flyte_host.model import Command, Event, EventDef, HealthCheck, PackDef

PROJECT_NAME = "flyte_host"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)

Emit = Callable[[Event], None]
"""Puts an event into the journal, from where it is sent to flyte, however long that takes.

Raises TypeError for anything but an Event, and ValueError for a payload that cannot be encoded as
JSON or is larger than 15 MB. When it returns, the event is on disk. While 100,000 events of the
pack wait for flyte, it waits for room, at most until the host stops; so a source that is read no
faster than `emit` returns loses nothing while flyte is away. Do not call it in a coroutine handler:
all coroutines of the pack would wait.
"""


@hookspec
def flyte_pack() -> PackDef:  # type: ignore[empty-body]  # a spec has no body
    """The pack that this plugin owns; called once, after the plugin was made.

    A plugin that has this hook owns the pack and is asked the other hooks about this pack only. A
    plugin without it is an add-on: it is asked about every pack of the host.
    """


@hookspec
def flyte_commands(pack: PackDef) -> Iterable[Command]:  # type: ignore[empty-body]
    """More commands of ``pack``; called once per pack before it is registered.

    A command name that two plugins give to one pack refuses the pack and names both.
    """


@hookspec
def flyte_event_defs(pack: PackDef) -> Iterable[EventDef]:  # type: ignore[empty-body]
    """More events that ``pack`` raises on its own; called once per pack before it is registered."""


@hookspec
def flyte_health_checks(pack: PackDef) -> Iterable[HealthCheck]:  # type: ignore[empty-body]
    """Health checks of ``pack``; called once per pack, the checks at every read of the page."""


@hookspec
def flyte_observe(pack: PackDef, emit: Emit, stopping: threading.Event) -> None:
    """Watch the world and raise events; runs in its own thread while the host runs.

    Return when ``stopping`` is set (wait on it instead of sleeping). Returning earlier ends the
    observation; raising starts it again after a growing pause.
    """
