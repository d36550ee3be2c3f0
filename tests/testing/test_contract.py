"""The contract of packs: what is found in plugins that do not keep it."""

import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, PackDef, fatal_event, hookimpl
from flyte_host.testing import Example, check_contract
from tests.testing.golden_pack import Escalating, PagerPack, WatchPack

SAID = EventDef("Said")
DENIED = EventDef("Denied")
GOOD = [Example("say", 1, "Said"), Example("say", 0, "Denied"), Example("refuse", 1, "FATAL")]

UNIMPORTABLE = (
    "cannot be tried in its own process, which has to import it: pass a text such as "
    '"my_pack:MyPack", or isolated=False'
)


@dataclass(frozen=True)
class GoodSettings:
    word: str = "hello"


class GoodPack:
    def __init__(self, settings: GoodSettings) -> None:
        self._word = settings.word

    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [Command("say", self.say, [SAID, DENIED]), Command("refuse", self.refuse, [])]
        return PackDef("Good", "https://example.com/good", commands=commands)

    def say(self, input: int) -> Event:
        return SAID(self._word) if input else DENIED()

    def refuse(self, input: int) -> Event:
        return fatal_event(f"refused {input}")


class Oddity:
    """Well-behaved as far as a host is concerned."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef(
            "Odd ",
            "odd.html",
            event_defs=[EventDef("FATAL"), EventDef("Seen", "https://[bad")],
            commands=[Command("go", lambda _: SAID(), [SAID], help_url="https://a b")],
        )


class OddSettings:
    """Not what JSON can fill."""


@dataclass
class WithOddSettings:
    odd: OddSettings = field(default_factory=OddSettings)


class OddlySet:
    def __init__(self, settings: WithOddSettings | None = None) -> None:
        """Takes none."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Odd")


class UntypedSettings(OddlySet):
    def __init__(self, settings=None) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Takes any."""


def problems(plugin: object, settings: Any = None, **more: Any) -> list[str]:
    """What is found wrong with a plugin."""
    with pytest.raises(AssertionError) as raised:
        check_contract(plugin, settings, **more)
    head, *lines = str(raised.value).split("\n")
    assert head == "the plugin breaks the contract of packs:"
    return [each.removeprefix("  * ") for each in lines]


def in_process(plugin: object, settings: Any = None, **more: Any) -> list[str]:
    return problems(plugin, settings, isolated=False, **more)


def test_a_good_pack_passes_in_a_process_of_its_own_too() -> None:
    check_contract("tests.testing.test_contract:GoodPack", {"word": "x"}, examples=GOOD)


def test_an_add_on_is_checked_beside_the_pack_that_it_adds_to() -> None:
    check_contract(Escalating, pack="Pager", examples=[Example("Escalate")], isolated=False)


def test_a_broken_plugin_is_told() -> None:
    assert in_process(GoodPack, {"wort": 1}) == [
        'the plugin is broken: settings.wort: unknown (did you mean "word"?)'
    ]


def test_a_plugin_that_is_broken_only_in_a_process_of_its_own() -> None:
    class LocalPack(GoodPack):
        """Not to be imported."""

    assert problems(LocalPack) == problems(GoodPack(GoodSettings())) == [UNIMPORTABLE]
    [said] = problems("tests.testing.test_contract:ChildlessPack")
    assert said.startswith("in its own process: the plugin is broken: ")
    assert "only at home" in said


class ChildlessPack(GoodPack):
    def __init__(self) -> None:
        if "plugin_server" in sys.argv[0]:
            raise RuntimeError("only at home")
        super().__init__(GoodSettings())


def test_names_and_links_are_checked() -> None:
    assert in_process(Oddity) == [
        "pack 'Odd ' begins or ends with a space",
        "event 'FATAL' is declared: it is always possible and never declared",
        "pack 'Odd ': help_url is 'odd.html', expected an address with http:// or https://",
        "command 'go': help_url is 'https://a b', expected an address with http:// or https://",
        "event 'Seen': help_url is 'https://[bad', expected an address with http:// or https://",
    ]


@pytest.mark.parametrize("plugin", [OddlySet, UntypedSettings])
def test_settings_need_a_schema(plugin: object) -> None:
    assert in_process(plugin) == [
        "its settings have no schema: annotate them with a dataclass or a Struct"
    ]


def test_examples_return_what_is_declared() -> None:
    examples = [
        Example("say", 1, "Denied"), Example("say", "x"), Example("sing"), Example("refuse", 1),
    ]  # fmt: skip
    assert in_process(GoodPack, examples=examples) == [
        "command 'say' with the input 1 sent Said \"hello\", expected Denied",
        (
            "command 'say' with the input \"x\" ended as FATAL: "
            "\"command 'say': input: expected int, got str\""
        ),
        "an example is for 'sing', which is not a command of the pack",
        "command 'refuse' with the input 1 ended as FATAL: \"refused 1\"",
        "command 'say' declares Denied, which no example returns",
    ]


def test_every_command_has_an_example_and_no_undeclared_event() -> None:
    assert in_process(PagerPack, examples=[Example("Lose", 1)]) == [
        "event 'Queued': help_url is 'see the wiki', expected an address with http:// or https://",
        "command 'Lose' sent Lost 1, which it does not declare; its output_events are: Paged",
        "command 'Page' has no example",
        "command 'Wait' has no example",
        "command 'Lose' declares Paged, which no example returns",
    ]


def test_health_checks_answer() -> None:
    assert in_process(WatchPack, {"what": "unwell"}) == [
        "health check 'nothing': it returned nothing, expected a Health"
    ]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raises", "the observer raised KeyError: 'who'"),
        (
            "undeclared",
            "the observer emitted Lost, which its pack does not declare; declared: Paged",
        ),
    ],
)
def test_the_observer_is_run(what: str, said: str) -> None:
    assert in_process(WatchPack, {"what": what}) == [said]


def test_a_thread_that_stays_is_told_by_name_and_place() -> None:
    [said] = in_process(WatchPack, {"what": "leaves"})
    assert said.startswith("the thread 'left' is left behind")


class DeafAddOn:
    """Its command answers, and nothing else of it is checked."""

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Iterable[Command]:
        return [Command("hear", lambda _: SAID(threading.current_thread().name), [SAID])]


def test_only_the_add_ons_own_commands_need_examples() -> None:
    beside = PackDef("Pager", commands=[Command("Page", lambda _: SAID(), [SAID])])
    check_contract(DeafAddOn, pack=beside, examples=[Example("hear")], isolated=False)
