"""Calls of handlers, without flyte and without a host.

Owns how a test calls one. An undeclared event fails the test.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from flyte_host.errors import FlyteHostError
from flyte_host.model import FATAL, PackDef
from flyte_host.packs import ServedPack
from flyte_host.pipeline.handlers.run_once import run_once
from flyte_host.secrets import Scrubber
from flyte_host.testing.called import Called
from flyte_host.testing.given import encoded
from flyte_host.testing.heard_event import show
from flyte_host.testing.host_log import HostLog
from flyte_host.testing.no_host_frames import NoHostFrames
from flyte_host.testing.served_plugin import serving_one
from flyte_host.text import nearest, type_of

_numbers = itertools.count(1)


class FlyteCall:
    """The fixture ``flyte_call``."""

    def __call__(
        self,
        plugin: object,
        command: str,
        input: Any = None,
        settings: Mapping[str, Any] | None = None,
        *,
        pack: str | PackDef | None = None,
    ) -> Called:
        """Call the handler of ``command`` as the host does; returns its event.

        ``plugin`` is what the entry point names: a class, a factory, a module, an object, or a text
        such as ``"my_pack:MyPack"``. ``pack`` is the name to give the plugin's pack; for an add-on,
        the pack that it adds to, or its name. An event that the command does not
        declare is an AssertionError, a plugin that a host would call broken a PluginError.
        """
        __tracebackhide__ = True
        scrubber = Scrubber()
        with (
            NoHostFrames(FlyteHostError),
            serving_one(plugin, {"settings": settings or {}}, scrubber, pack) as served,
        ):
            called = call(served.pack, command, input, scrubber)
            problem = undeclared(served.pack, command, called)
        if problem:
            raise AssertionError(problem)
        return called


def call(served: ServedPack, command: str, input: Any, scrubber: Scrubber) -> Called:
    """One call of a command's handler, with the host's decoding, timeout and encoding."""
    __tracebackhide__ = True
    if not isinstance(command, str):
        raise TypeError(f"command: found {type_of(command)}, expected its name")
    if command not in served.commands:
        known = list(served.commands)
        raise LookupError(f"no command {command!r}{nearest(command, known)}; the pack has {known}")
    bound, document = served.commands[command], encoded("input", input)
    action_id = f"call-{next(_numbers)}"
    heard = HostLog().open()
    try:
        outcome = run_once(served.definition.name, bound, document, scrubber, action_id=action_id)
        event = msgspec.json.decode(outcome.body)
        lines, error = tuple(heard.lines(action_id)), heard.error_of(action_id)
        return Called(event["event"], event["payload"], lines, error)
    finally:
        heard.close()


def undeclared(served: ServedPack, command: str, called: Called) -> str:
    """The sentence for an event that the command does not declare, or nothing."""
    declared = [each.name for each in served.commands[command].command.output_events]
    if called.name in {FATAL, *declared}:
        return ""
    return (
        f"command {command!r} sent {called.name} {show(called.payload)}, which it does not declare"
        f"{nearest(called.name, declared)}; its output_events are: {', '.join(declared) or 'none'}"
    )
