"""What a plugin's hooks return, checked: domain objects, or a sentence on what is wrong.

Owns the rules for a single plugin's answers. Must not know other plugins; merging and clashes
belong to ``packs``.
"""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from flyte_host import forks
from flyte_host.foreign_code import Misbehaved, call_within
from flyte_host.hookspecs import Emit
from flyte_host.model import LONGEST_NAME, Command, Event, EventDef, HealthCheck, PackDef
from flyte_host.plugins import LOAD_SECONDS, Plugin
from flyte_host.plugins.bound_command import BoundCommand, bind
from flyte_host.plugins.loader import log_slow
from flyte_host.text import type_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contribution:
    """All that one plugin gives to one pack."""

    plugin: Plugin
    commands: tuple[BoundCommand, ...]
    event_defs: tuple[EventDef, ...]
    health_checks: tuple[HealthCheck, ...]
    observes: bool

    @property
    def event_names(self) -> list[str]:
        """Every event that it declares, those of its commands too."""
        outputs = [event for each in self.commands for event in each.command.output_events]
        return sorted({each.name for each in (*self.event_defs, *outputs)})


def ask_pack(plugin: Plugin, limit_seconds: float = LOAD_SECONDS) -> PackDef | None:
    """The pack that the plugin owns, checked; None for an add-on. Raises Misbehaved."""
    if not plugin.has("flyte_pack"):
        return None
    return _call(
        plugin, "flyte_pack", lambda: _check_pack(plugin.call("flyte_pack")), limit_seconds
    )


def _check_pack(answer: object) -> PackDef:
    """The pack with lists where the plugin may have given generators, which are read once."""
    if not isinstance(answer, PackDef):
        raise Misbehaved(f"flyte_pack: returned {type_of(answer)}, expected a PackDef")
    _check_name("flyte_pack", answer.name, "name of the pack")
    _check_addressable("name", answer.name)
    _check_help(f"pack {answer.name!r}", answer.help_url)
    _check_labels(answer.labels)
    event_defs = _part("flyte_pack: event_defs", answer.event_defs, EventDef)
    commands = _part("flyte_pack: commands", answer.commands, Command)
    return dataclasses.replace(answer, event_defs=event_defs, commands=commands)


def ask_contribution(
    plugin: Plugin, pack: PackDef, *, owns: bool, limit_seconds: float = LOAD_SECONDS
) -> Contribution:
    """What the plugin adds to ``pack``; raises Misbehaved.

    An owner's PackDef counts as the first part of its contribution.
    """

    def ask(hook: str, kind: type[T]) -> list[T]:
        return ask_hook(plugin, hook, kind, pack, limit_seconds)

    commands = [*(pack.commands if owns else ()), *ask("flyte_commands", Command)]
    event_defs = [*(pack.event_defs if owns else ()), *ask("flyte_event_defs", EventDef)]
    checks = ask("flyte_health_checks", HealthCheck)

    def check() -> Contribution:
        return Contribution(
            plugin,
            _each_once([bind_command(command, plugin) for command in commands], pack),
            tuple(check_event_def(each) for each in event_defs),
            tuple(check_health_check(each) for each in checks),
            plugin.has("flyte_observe"),
        )

    return call_within(limit_seconds, check)


def ask_hook(
    plugin: Plugin, hook: str, kind: type[T], pack: PackDef, limit_seconds: float
) -> list[T]:
    """What the hook lists for ``pack``, nothing if the plugin has no such hook; raises Misbehaved.

    The items are of the ``kind``, and not yet checked further.
    """
    if not plugin.has(hook):
        return []
    return _call(
        plugin, hook, lambda: _list(hook, plugin.call(hook, pack=pack), kind), limit_seconds
    )


def bind_observer(plugin: Plugin, pack: PackDef) -> Callable[[Emit, Any], None]:
    """The plugin's ``flyte_observe`` for ``pack``, to be called with ``emit`` and ``stopping``."""

    def observe(emit: Emit, stopping: Any) -> None:
        def emit_from_host(event: Event) -> None:
            forks.check_not_in_child("emit")
            emit(event)

        plugin.call("flyte_observe", pack=pack, emit=emit_from_host, stopping=stopping)

    return observe


def _call(plugin: Plugin, hook: str, call: Callable[[], T], limit_seconds: float) -> T:
    try:
        return call_within(limit_seconds, call, partial(log_slow, plugin.config.pack_key, hook))
    except Misbehaved as error:
        text = str(error)
        raise Misbehaved(text if text.startswith(hook) else f"{hook}: {text}") from error


def _list(hook: str, answer: Any, kind: type[T]) -> list[T]:
    """The answer as a list; runs inside the time limit, since a generator runs while it is read."""
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise Misbehaved(f"{hook}: returned {type_of(answer)}, expected a list of {kind.__name__}")
    return [_item(hook, each, kind) for each in answer]


def _part(what: str, found: Any, kind: type[T]) -> tuple[T, ...]:
    """A list that is a part of an answer; a generator runs while it is read."""
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise Misbehaved(f"{what}: found {type_of(found)}, expected a list of {kind.__name__}")
    return tuple(_item(what, each, kind) for each in found)


def _item(what: str, item: object, kind: type[T]) -> T:
    if not isinstance(item, kind):
        raise Misbehaved(f"{what}: found {type_of(item)} in its list of {kind.__name__}")
    return item


def _each_once(commands: list[BoundCommand], pack: PackDef) -> tuple[BoundCommand, ...]:
    for name, count in Counter(each.command.name for each in commands).items():
        if count > 1:
            raise Misbehaved(f"command {name!r} is given twice for pack {pack.name!r}")
    return tuple(commands)


def bind_command(command: Command, plugin: Plugin) -> BoundCommand:
    """A command, checked and ready to be called; raises Misbehaved."""
    name = _check_name("command", command.name, "name of a command")
    if not callable(command.handler):
        raise Misbehaved(f"command {name!r}: handler is {type_of(command.handler)}, not callable")
    _check_help(f"command {name!r}", command.help_url)
    outputs = _part(f"command {name!r}: output_events", command.output_events, EventDef)
    timeout = command.timeout_seconds
    if timeout is not None and not _is_positive(timeout):
        raise Misbehaved(f"command {name!r}: timeout_seconds is {timeout!r}, expected > 0 or None")
    checked = dataclasses.replace(command, output_events=tuple(map(check_event_def, outputs)))
    return bind(checked, plugin.config.pack_key)


def _is_positive(value: object) -> bool:
    """Whether it is a time that a thread can wait: infinity is not, and ``None`` says it."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 < value <= threading.TIMEOUT_MAX


def check_event(event: Any) -> Event:
    """What may be emitted; raises TypeError for anything else."""
    if not isinstance(event, Event) or not isinstance(event.event_def, EventDef):
        raise TypeError(f"emit takes an Event, not {type(event).__name__}: MY_EVENT(payload)")
    return event


def check_event_def(event_def: EventDef) -> EventDef:
    """The definition, if its names are texts; raises Misbehaved."""
    name = _check_name("event", event_def.name, "name of an event")
    _check_help(f"event {name!r}", event_def.help_url)
    return event_def


def check_health_check(check: HealthCheck) -> HealthCheck:
    """The check, if it has a name and can be called; raises Misbehaved."""
    name = _check_name("health check", check.name, "name of a health check")
    if not callable(check.check):
        raise Misbehaved(f"health check {name!r}: check is {type_of(check.check)}, not callable")
    return check


def _check_labels(labels: object) -> None:
    if not isinstance(labels, Mapping):
        raise Misbehaved(f"flyte_pack: labels are {type_of(labels)}, expected a dict of strings")
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise Misbehaved(f"flyte_pack: label {key!r} = {value!r}, expected two strings")
        _check_addressable("label", key)
        _check_addressable("label", value)


def _check_addressable(what: str, text: str) -> None:
    _check_length("flyte_pack", what, text)
    if "/" in text or not text.isprintable():
        raise Misbehaved(
            f"flyte_pack: {what} {text!r} has a / or an unprintable character: it becomes a part "
            "of the pack's URL, which flyte does not escape"
        )


def _check_help(what: str, help_url: object) -> None:
    if help_url is not None and not isinstance(help_url, str):
        raise Misbehaved(f"{what}: help_url is {type_of(help_url)}, expected a string or None")


def _check_name(what: str, name: object, role: str) -> str:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise Misbehaved(f"{what}: the {role} is {name!r}, expected a non-empty printable string")
    _check_length(what, role, name)
    return name


def _check_length(what: str, role: str, text: str) -> None:
    if len(text) > LONGEST_NAME:
        found = f"has {len(text)} characters, expected at most {LONGEST_NAME}"
        raise Misbehaved(f"{what}: the {role} {found}")
