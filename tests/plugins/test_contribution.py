"""What the hooks of one plugin answer is checked before anybody relies on it."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_host.config import PackConfig
from flyte_host.foreign_code import Misbehaved
from flyte_host.plugins import InstalledPlugin, Loader, Plugin
from flyte_host.plugins.contribution import Contribution, ask_contribution, ask_pack, bind_observer
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS

DONE = EventDef("Done")
BARE = PackDef("Bare")


def handler(input: Any) -> Event:
    return DONE(input)


def loaded(target: object) -> Plugin:
    [plugin] = Loader([InstalledPlugin("demo", lambda: target)], {}, Scrubber()).load({})
    assert plugin.problem == ""
    assert plugin.config == PackConfig("demo")
    return plugin


def owner_of(answer: Callable[[], object]) -> Plugin:
    class Owner:
        @hookimpl
        def flyte_pack(self) -> Any:
            return answer()

    return loaded(Owner)


def plugin_with(hook: str, answer: Callable[[], object]) -> Plugin:
    def implementation(pack: PackDef) -> Any:
        return answer()

    return loaded(type("AddOn", (), {hook: staticmethod(hookimpl(implementation))}))


def pack_refusal(answer: Callable[[], object], limit_seconds: float = PATIENCE_SECONDS) -> str:
    with pytest.raises(Misbehaved) as raised:
        ask_pack(owner_of(answer), limit_seconds)
    return str(raised.value)


def refusal(
    hook: str, answer: Callable[[], object], limit_seconds: float = PATIENCE_SECONDS
) -> str:
    with pytest.raises(Misbehaved) as raised:
        ask_contribution(plugin_with(hook, answer), BARE, owns=False, limit_seconds=limit_seconds)
    return str(raised.value)


def command_refusal(command: Command) -> str:
    return refusal("flyte_commands", lambda: [command])


def raising(error: BaseException) -> Callable[[], object]:
    def answer() -> object:
        raise error

    return answer


# --- the hooks --------------------------------------------------------------------------------


def test_hook_flyte_pack() -> None:
    pack = PackDef("Demo", "http://help", {"env": "x"}, (DONE,), (Command("run", handler, ()),))
    assert ask_pack(owner_of(lambda: pack)) == pack


def test_hook_flyte_commands() -> None:
    command = Command("run", handler, (DONE,), "http://help", 3, idempotent=True)
    given = ask_contribution(plugin_with("flyte_commands", lambda: [command]), BARE, owns=False)
    [bound] = given.commands
    assert (bound.command, bound.owner) == (command, "demo")
    assert (given.event_defs, given.health_checks, given.observes) == ((), (), False)


def test_hook_flyte_event_defs() -> None:
    given = ask_contribution(plugin_with("flyte_event_defs", lambda: {DONE}), BARE, owns=False)
    assert given.event_defs == (DONE,)


def test_hook_flyte_health_checks() -> None:
    check = HealthCheck("Disk", lambda: Health(True), critical=False)
    given = ask_contribution(plugin_with("flyte_health_checks", lambda: (check,)), BARE, owns=False)
    assert given.health_checks == (check,)


def test_hook_flyte_observe() -> None:
    seen: list[object] = []

    class Watcher:
        @hookimpl
        def flyte_observe(self, pack: PackDef, emit: Any, stopping: threading.Event) -> None:
            seen.extend([pack, stopping])
            emit(DONE(1))

    plugin = loaded(Watcher)
    assert ask_contribution(plugin, BARE, owns=False).observes
    stopping = threading.Event()
    bind_observer(plugin, BARE)(seen.append, stopping)
    assert seen == [BARE, stopping, DONE(1)]


def test_an_observer_raises_what_its_hook_raises() -> None:
    class Watcher:
        @hookimpl
        def flyte_observe(self) -> None:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        bind_observer(loaded(Watcher), BARE)(lambda _: None, threading.Event())


def test_an_add_on_owns_no_pack() -> None:
    assert ask_pack(plugin_with("flyte_commands", list)) is None


def test_an_owner_gives_its_pack_and_what_its_hooks_add() -> None:
    class Owner:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef("Demo", event_defs=[DONE], commands=[Command("a", handler, [DONE])])

        @hookimpl
        def flyte_commands(self, pack: PackDef) -> Iterator[Command]:
            yield Command(f"{pack.name}-b", handler, [])

    plugin = loaded(Owner)
    pack = ask_pack(plugin)
    assert pack is not None
    given = ask_contribution(plugin, pack, owns=True)
    assert [bound.command.name for bound in given.commands] == ["a", "Demo-b"]
    assert given.event_defs == (DONE,)
    of_another = ask_contribution(plugin, pack, owns=False)
    assert [bound.command.name for bound in of_another.commands] == ["Demo-b"]
    assert of_another.event_defs == ()


def test_generators_are_read_once_and_nothing_is_lost() -> None:
    def pack() -> PackDef:
        command = Command("run", handler, (each for each in [DONE]))
        events = (EventDef(name) for name in ("A", "B"))
        return PackDef("Demo", event_defs=events, commands=(each for each in [command]))

    plugin = owner_of(pack)
    found = ask_pack(plugin)
    assert found is not None
    assert found.event_defs == (EventDef("A"), EventDef("B"))
    given = ask_contribution(plugin, found, owns=True)
    assert isinstance(given, Contribution)
    assert given.event_defs == found.event_defs
    assert given.commands[0].command.output_events == (DONE,)


# --- nonsense ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned nothing, expected a PackDef"),
        ("Demo", "returned a str, expected a PackDef"),
        (PackDef(""), "the name of the pack is '', expected a non-empty printable string"),
        (PackDef(5), "the name of the pack is 5, expected a non-empty printable string"),
        (
            PackDef("a\n"),
            "the name of the pack is 'a\\n', expected a non-empty printable string",
        ),
        (PackDef("a" * 201), "the name of the pack has 201 characters, expected at most 200"),
        (
            PackDef("a", labels={"k": "v" * 201}),
            "the label has 201 characters, expected at most 200",
        ),
        (
            PackDef("a/b"),
            (
                "name 'a/b' has a / or an unprintable character: it becomes a part of the "
                "pack's URL, which flyte does not escape"
            ),
        ),
        (
            PackDef("a", labels={"k": "v/w"}),
            (
                "label 'v/w' has a / or an unprintable character: it becomes a part of the "
                "pack's URL, which flyte does not escape"
            ),
        ),
        (
            PackDef("a", labels={"k\0": "v"}),
            (
                "label 'k\\x00' has a / or an unprintable character: it becomes a part of the "
                "pack's URL, which flyte does not escape"
            ),
        ),
        (PackDef("a", labels=["k"]), "labels are a list, expected a dict of strings"),
        (PackDef("a", labels={"k": 1}), "label 'k' = 1, expected two strings"),
        (PackDef("a", labels={1: "v"}), "label 1 = 'v', expected two strings"),
        (PackDef("a", labels={"": "v"}), "label '' = 'v', expected two strings"),
        (PackDef("a", event_defs="DONE"), "event_defs: found a str, expected a list of EventDef"),
        (PackDef("a", event_defs=["DONE"]), "event_defs: found a str in its list of EventDef"),
        (PackDef("a", commands=[None]), "commands: found nothing in its list of Command"),
        (
            PackDef("a", help_url=object()),
            "pack 'a': help_url is an object, expected a string or None",
        ),
    ],
)
def test_a_pack_that_is_nonsense(answer: object, text: str) -> None:
    assert pack_refusal(lambda: answer) == f"flyte_pack: {text}"


def test_a_pack_hook_that_raises() -> None:
    text = pack_refusal(raising(ValueError("no name")))
    assert text.startswith("flyte_pack: ValueError: no name (plugins/test_contribution.py:")


def test_a_pack_hook_that_exits() -> None:
    text = pack_refusal(raising(SystemExit("bye")))
    assert text.startswith("flyte_pack: called sys.exit(bye) (plugins/test_contribution.py:")


def test_a_pack_whose_generator_raises() -> None:
    def commands() -> Iterator[Command]:
        yield Command("run", handler, [])
        raise ValueError("half way")

    text = pack_refusal(lambda: PackDef("a", commands=commands()))
    assert text.startswith("flyte_pack: ValueError: half way (plugins/test_contribution.py:")


def test_a_pack_hook_that_hangs() -> None:
    release = threading.Event()
    text = pack_refusal(lambda: release.wait(PATIENCE_SECONDS), 0.5)
    release.set()
    assert text.startswith("flyte_pack: did not return within 0.5 s (at plugins/test_")


LISTS = [
    ("flyte_commands", "Command"),
    ("flyte_event_defs", "EventDef"),
    ("flyte_health_checks", "HealthCheck"),
]


@pytest.mark.parametrize(("hook", "kind"), LISTS)
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned nothing, expected a list of {}"),
        ("text", "returned a str, expected a list of {}"),
        (5, "returned an int, expected a list of {}"),
        (handler, "returned a function, expected a list of {}"),
        ([5], "found an int in its list of {}"),
        ([None], "found nothing in its list of {}"),
        ([Event(DONE)], "found an Event in its list of {}"),
        ({"key": 1}, "found a str in its list of {}"),
        (b"bytes", "found an int in its list of {}"),
    ],
    ids=itertools.count(),
)
def test_a_list_that_is_nonsense(hook: str, kind: str, answer: object, text: str) -> None:
    assert refusal(hook, lambda: answer) == f"{hook}: {text.format(kind)}"


@pytest.mark.parametrize("hook", [hook for hook, _ in LISTS])
def test_a_hook_that_raises(hook: str) -> None:
    text = refusal(hook, raising(KeyError("who")))
    assert text.startswith(f"{hook}: KeyError: 'who' (plugins/test_contribution.py:")


@pytest.mark.parametrize("hook", [hook for hook, _ in LISTS])
def test_a_generator_that_raises_midway(hook: str) -> None:
    def answer() -> Iterator[object]:
        yield from ()
        raise ValueError("half way")

    text = refusal(hook, answer)
    assert text.startswith(f"{hook}: ValueError: half way (plugins/test_contribution.py:")


def test_a_generator_that_hangs() -> None:
    release = threading.Event()

    def answer() -> Iterator[object]:
        release.wait(PATIENCE_SECONDS)
        yield Command("run", handler, [])

    text = refusal("flyte_commands", answer, 0.5)
    release.set()
    assert text.startswith("flyte_commands: did not return within 0.5 s (at plugins/test_")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            Command("", handler, []),
            "command: the name of a command is '', expected a non-empty printable string",
        ),
        (
            Command("c" * 201, handler, []),
            "command: the name of a command has 201 characters, expected at most 200",
        ),
        (
            Command("\udcff", handler, []),
            "command: the name of a command is '\\udcff', expected a non-empty printable string",
        ),
        (Command("run", "handler", []), "command 'run': handler is a str, not callable"),
        (Command("run", None, []), "command 'run': handler is nothing, not callable"),
        (
            Command("run", handler, DONE),
            "command 'run': output_events: found an EventDef, expected a list of EventDef",
        ),
        (
            Command("run", handler, ["Done"]),
            "command 'run': output_events: found a str in its list of EventDef",
        ),
        (
            Command("run", handler, [EventDef("")]),
            "event: the name of an event is '', expected a non-empty printable string",
        ),
        (
            Command("run", handler, [EventDef("Done", 5)]),
            "event 'Done': help_url is an int, expected a string or None",
        ),
        (
            Command("run", handler, [], 5),
            "command 'run': help_url is an int, expected a string or None",
        ),
        (
            Command("run", lambda: None, []),
            "handler of command 'run' takes 0 arguments; expected (input) or (input, action)",
        ),
    ],
)
def test_a_command_that_is_nonsense(command: Command, text: str) -> None:
    assert command_refusal(command) == text


@pytest.mark.parametrize("seconds", [0, -1, "5", True, float("nan"), float("inf"), 1e12])
def test_a_timeout_that_is_not_a_time(seconds: Any) -> None:
    assert command_refusal(Command("run", handler, [], timeout_seconds=seconds)) == (
        f"command 'run': timeout_seconds is {seconds!r}, expected > 0 or None"
    )


def test_output_events_that_raise_when_they_are_read() -> None:
    def events() -> Iterator[EventDef]:
        yield DONE
        raise ValueError("half way")

    text = command_refusal(Command("run", handler, events()))
    assert text.startswith("ValueError: half way (plugins/test_contribution.py:")


def test_a_handler_that_cannot_be_looked_at() -> None:
    class Odd:
        def __call__(self, input: Any) -> None: ...

        @property
        def __signature__(self) -> Any:
            raise OSError("do not look")

    assert command_refusal(Command("run", Odd(), [])).startswith("OSError: do not look (plugins/")


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (
            HealthCheck("", lambda: Health(True)),
            "health check: the name of a health check is '', expected a non-empty printable string",
        ),
        (HealthCheck("C", True), "health check 'C': check is a bool, not callable"),
    ],
)
def test_a_health_check_that_is_nonsense(check: HealthCheck, text: str) -> None:
    assert refusal("flyte_health_checks", lambda: [check]) == text


def test_an_event_that_is_nonsense() -> None:
    assert refusal("flyte_event_defs", lambda: [EventDef(None)]) == (
        "event: the name of an event is None, expected a non-empty printable string"
    )
