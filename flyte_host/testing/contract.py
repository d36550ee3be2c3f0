"""The contract of packs, checked on one plugin.

Owns the rules beyond those whose breach makes a host call a plugin broken, and their words.
"""

import importlib
import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flyte_host.errors import PluginError
from flyte_host.foreign_code import Misbehaved, call_within, place_of_thread
from flyte_host.health.checks import LIMIT_SECONDS, call_check
from flyte_host.model import FATAL, Command, PackDef
from flyte_host.packs import ServedPack
from flyte_host.plugins import Plugin
from flyte_host.plugins.schemas import ANYTHING
from flyte_host.secrets import Scrubber
from flyte_host.testing.called import Called
from flyte_host.testing.example import Example
from flyte_host.testing.flyte_call import call, undeclared
from flyte_host.testing.heard_event import show
from flyte_host.testing.running_observer import RunningObserver
from flyte_host.testing.served_plugin import serving_one
from flyte_host.testing.serving import PLUGIN
from flyte_host.testing.waiting import wait_until

LEAVE_SECONDS = 2.0
"""How long threads may take to end when a plugin is no longer used."""


class _Case(NamedTuple):
    """What is checked, and how it is made."""

    plugin: object
    settings: Mapping[str, Any]
    pack: str | PackDef | None
    examples: tuple[Example, ...]


def check_contract(
    plugin: object,
    settings: Mapping[str, Any] | None = None,
    *,
    examples: Iterable[Example] = (),
    pack: str | PackDef | None = None,
    isolated: bool = True,
) -> None:
    """Raise an AssertionError with all that a plugin does against the contract of packs.

    Names and help links are well-formed; the settings have a schema; with ``examples``, each
    command has some, they return the events that it declares and no others, with payloads that are
    JSON; health checks answer in time; the observer stops when it is asked; no thread is left
    behind; and the same holds in a process of the plugin's own, unless ``isolated`` is False.
    ``plugin``, ``settings`` and ``pack`` are as for ``flyte_call``.
    """
    __tracebackhide__ = True
    case = _Case(plugin, settings or {}, pack, tuple(examples))
    problems = [*_problems(case), *(_isolated_problems(case) if isolated else ())]
    if problems:
        lines = "".join(f"\n  * {each}" for each in problems)
        raise AssertionError(f"the plugin breaks the contract of packs:{lines}")


def _problems(case: _Case) -> Iterator[str]:
    before = set(threading.enumerate())
    try:
        with serving_one(case.plugin, {"settings": case.settings}, Scrubber(), case.pack) as served:
            yield from _definition_problems(served.pack)
            yield from _settings_problems(served.plugin)
            yield from _use_problems(served.pack, case.examples)
    except PluginError as error:
        yield str(error)
        return
    yield from _thread_problems(before)


def _isolated_problems(case: _Case) -> Iterator[str]:
    target = _target(case.plugin)
    if not target:
        yield (
            "cannot be tried in its own process, which has to import it: pass a text such as "
            '"my_pack:MyPack", or isolated=False'
        )
        return
    table = {"settings": case.settings, "isolation": "process"}
    try:
        with serving_one(target, table, Scrubber(), case.pack) as served:
            found = list(_use_problems(served.pack, case.examples))
    except PluginError as error:
        found = [str(error)]
    yield from (f"in its own process: {each}" for each in found)


def _definition_problems(served: ServedPack) -> Iterator[str]:
    pack = served.definition
    links = [(f"pack {pack.name!r}", pack.help_url)]
    names = [("pack", pack.name), *(("command", each.name) for each in pack.commands)]
    for command in pack.commands:
        links.append((f"command {command.name!r}", command.help_url))
        names += [("event", each.name) for each in command.output_events]
    events = [*pack.event_defs, *(each for one in pack.commands for each in one.output_events)]
    links += [(f"event {each.name!r}", each.help_url) for each in events]
    names += [("event", each.name) for each in pack.event_defs]
    for what, name in dict.fromkeys(names):
        if name != name.strip():
            yield f"{what} {name!r} begins or ends with a space"
        if (what, name) == ("event", FATAL):
            yield f"event {FATAL!r} is declared: it is always possible and never declared"
    for what, url in dict.fromkeys(links):
        if url is not None and not _is_web_address(url):
            yield f"{what}: help_url is {url!r}, expected an address with http:// or https://"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and " " not in url
    except ValueError:
        return False


def _settings_problems(plugin: Plugin) -> Iterator[str]:
    if plugin.settings_schema == ANYTHING:
        yield "its settings have no schema: annotate them with a dataclass or a Struct"


def _use_problems(served: ServedPack, examples: Iterable[Example]) -> Iterator[str]:
    yield from _example_problems(served, examples)
    yield from _check_problems(served)
    yield from _observer_problems(served)


def _example_problems(served: ServedPack, examples: Iterable[Example]) -> Iterator[str]:
    examples = list(examples)
    seen: dict[str, set[str]] = {}
    for example in examples:
        if example.command not in served.commands:
            yield f"an example is for {example.command!r}, which is not a command of the pack"
            continue
        called = call(served, example.command, example.input, Scrubber())
        seen.setdefault(example.command, set()).add(called.name)
        yield from _answer_problems(served, example, called)
    own = [each.command for each in served.commands.values() if each.owner == PLUGIN]
    for command in own if examples else ():
        yield from _unseen(command, seen)


def _answer_problems(served: ServedPack, example: Example, called: Called) -> Iterator[str]:
    what = f"command {example.command!r} with the input {show(example.input)}"
    if problem := undeclared(served, example.command, called):
        yield problem
    elif example.event is not None and called.name != example.event:
        yield f"{what} sent {called.name} {show(called.payload)}, expected {example.event}"
    elif called.name == FATAL and example.event is None:
        yield f"{what} ended as FATAL: {show(called.payload)}"


def _unseen(command: Command, seen: Mapping[str, set[str]]) -> Iterator[str]:
    if command.name not in seen:
        yield f"command {command.name!r} has no example"
        return
    for event in command.output_events:
        if event.name not in seen[command.name]:
            yield f"command {command.name!r} declares {event.name}, which no example returns"


def _check_problems(served: ServedPack) -> Iterator[str]:
    for each in served.health_checks:
        try:
            call_within(LIMIT_SECONDS, partial(call_check, each.check))
        except Misbehaved as error:
            yield f"health check {each.name!r}: {error}"


def _observer_problems(served: ServedPack) -> Iterator[str]:
    for observer in served.observers:
        if observer.plugin != PLUGIN:
            continue
        try:
            RunningObserver(served, observer).stop()
        except AssertionError as error:
            yield str(error)


def _thread_problems(before: set[threading.Thread]) -> Iterator[str]:
    def left() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each not in before and each.is_alive()]

    try:
        wait_until(lambda: not left(), "all threads ended", timeout_seconds=LEAVE_SECONDS)
    except AssertionError:
        for each in left():
            yield f"the thread {each.name!r} is left behind{place_of_thread(each)}"


def _target(plugin: object) -> str:
    """The plugin as another process can import it, or nothing."""
    if isinstance(plugin, str):
        return plugin
    if not (inspect.isclass(plugin) or inspect.isroutine(plugin)):
        return ""
    target = f"{plugin.__module__}:{plugin.__qualname__}"
    return target if _imported(target) is plugin else ""


def _imported(target: str) -> object:
    """What a text such as ``my_pack:MyPack`` names, or None."""
    module, _, path = target.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return None
    return found
