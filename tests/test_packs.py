"""What all plugins give becomes packs, each command with one owner; contradictions are refused."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_host.config import Config, FlyteConfig, HostConfig, PackConfig
from flyte_host.packs import ServedPacks, log_problems, merge_packs
from flyte_host.plugins import InstalledPlugin, Loader, Status
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

DONE, TICKED, SEEN = EventDef("Done"), EventDef("Ticked"), EventDef("Seen")


def handler(input: Any) -> Event:
    return DONE(input)


def command(name: str, *outputs: EventDef) -> Command:
    return Command(name, handler, outputs)


class JiraOwner:
    """An owner that uses every hook."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef(
            "Jira",
            "http://help",
            {"env": "plugin", "team": "plugin", "a": "plugin"},
            [TICKED],
            [command("create", DONE)],
        )

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> list[Command]:
        return [command("close", DONE)]

    @hookimpl
    def flyte_event_defs(self, pack: PackDef) -> list[EventDef]:
        return [SEEN]

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> list[HealthCheck]:
        return [HealthCheck(f"{pack.name} answers", lambda: Health(True))]

    @hookimpl
    def flyte_observe(self, pack: PackDef, emit: Callable[[Event], None]) -> None:
        emit(TICKED(pack.name))


class Extra:
    """An add-on that remembers which packs it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> list[Command]:
        self.asked.append(pack.name)
        return [command("extra", DONE)]

    @hookimpl
    def flyte_event_defs(self, pack: PackDef) -> list[EventDef]:
        return [EventDef("Seen", "http://another"), EventDef("Extra")]

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> list[HealthCheck]:
        return [HealthCheck("Extra", lambda: Health(True))]

    @hookimpl
    def flyte_observe(self, pack: PackDef, stopping: threading.Event) -> None:
        stopping.set()


def owner(name: str, *commands: Command, labels: Mapping[str, str] | None = None) -> Any:
    class Owner:
        asked: list[str] = []  # noqa: RUF012  one class for each test

        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef(name, labels=labels or {}, commands=commands)

        @hookimpl
        def flyte_commands(self, pack: PackDef) -> Sequence[Command]:
            self.asked.append(pack.name)
            return ()

    return Owner()


def add_on(*commands: Command, only: str | None = None) -> object:
    class AddOn:
        @hookimpl
        def flyte_commands(self, pack: PackDef) -> Sequence[Command]:
            return commands if only in {None, pack.name} else ()

    return AddOn()


def installed_as(name: str, target: object) -> InstalledPlugin:
    return InstalledPlugin(name, lambda: target)


def build(
    plugins: Mapping[str, object],
    *packs: PackConfig,
    labels: Mapping[str, str] | None = None,
    limit_seconds: float = 5,
) -> ServedPacks:
    found = [installed_as(name, target) for name, target in plugins.items()]
    config = Config(
        FlyteConfig("http://flyte"),
        host=HostConfig(max_concurrent=7),
        packs={pack.pack_key: pack for pack in packs},
        labels=labels or {},
    )
    loaded = Loader(found, {}, Scrubber()).load(config.packs)
    return merge_packs(loaded, config, limit_seconds=limit_seconds)


def reasons(registry: ServedPacks) -> dict[str, str]:
    return {plugin.config.pack_key: plugin.problem for plugin in registry.broken}


# --- merging ----------------------------------------------------------------------------------


def test_owner_and_add_on_become_one_pack() -> None:
    registry = build({"jira": JiraOwner, "extra": Extra})
    assert registry.broken == ()
    [pack] = registry.packs.values()
    assert (pack.pack_key, pack.id) == ("jira", "Jira.a.plugin.env.plugin.team.plugin")
    assert pack.definition.help_url == "http://help"
    owners = {name: bound.owner for name, bound in pack.commands.items()}
    assert owners == {"create": "jira", "close": "jira", "extra": "extra"}
    assert [each.name for each in pack.definition.commands] == ["create", "close", "extra"]
    assert pack.definition.event_defs == (TICKED, SEEN, EventDef("Extra"))
    assert pack.event_names == {"Done", "Ticked", "Seen", "Extra"}
    assert [check.name for check in pack.health_checks] == ["Jira answers", "Extra"]
    assert [each.plugin for each in pack.observers] == ["jira", "extra"]
    assert pack.max_concurrent == 7


def test_observers_get_the_merged_pack() -> None:
    [pack] = build({"jira": JiraOwner, "extra": Extra}).packs.values()
    emitted: list[Event] = []
    stopping = threading.Event()
    for each in pack.observers:
        each.observe(emitted.append, stopping)
    assert emitted == [TICKED("Jira")]
    assert stopping.is_set()


def test_an_add_on_is_asked_about_every_pack_and_an_owner_about_its_own() -> None:
    one, two, extra = owner("One"), owner("Two"), Extra()
    registry = build({"one": one, "extra": extra, "two": two})
    assert sorted(extra.asked) == ["One", "Two"]
    assert (one.asked, two.asked) == (["One"], ["Two"])
    assert {name: list(pack.commands) for name, pack in registry.packs.items()} == {
        "one": ["extra"],
        "two": ["extra"],
    }


def test_an_add_on_alone_serves_nothing() -> None:
    registry = build({"extra": Extra})
    assert (registry.packs, registry.broken) == ({}, ())
    assert [plugin.status for plugin in registry.plugins] == [Status.LOADED]


def test_the_table_overrides_name_and_slots() -> None:
    registry = build({"jira": JiraOwner}, PackConfig("mine", "jira", name="Mine", max_concurrent=2))
    pack = registry.packs["mine"]
    assert (pack.definition.name, pack.max_concurrent) == ("Mine", 2)
    assert [check.name for check in pack.health_checks] == ["Mine answers"]


def test_labels_of_the_plugin_of_the_table_and_of_the_environment() -> None:
    registry = build(
        {"jira": JiraOwner},
        PackConfig("jira", labels={"env": "table", "team": "table", "b": "table"}),
        labels={"env": "environment", "c": "environment"},
    )
    assert registry.packs["jira"].definition.labels == {
        "a": "plugin",
        "team": "table",
        "b": "table",
        "env": "environment",
        "c": "environment",
    }


def test_only_who_has_the_hook_observes() -> None:
    [pack] = build({"good": owner("Good"), "more": add_on()}).packs.values()
    assert pack.observers == ()


def test_the_reason_of_a_plugin_that_was_broken_before_stays() -> None:
    registry = build({}, PackConfig("jira", name="Mine"))
    assert reasons(registry) == {"jira": "no plugin 'jira' is installed; installed: none"}


def test_a_disabled_plugin_is_neither_served_nor_broken() -> None:
    registry = build({"jira": JiraOwner}, PackConfig("jira", enabled=False, name="Mine"))
    assert (registry.packs, registry.broken) == ({}, ())
    assert registry.plugins[0].status is Status.DISABLED


# --- contradictions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugins", "text"),
    [
        (
            {"jira": owner("Jira", command("close")), "extra": add_on(command("close"))},
            "command 'close' comes from 'jira' and 'extra'",
        ),
        (
            {
                "jira": owner("Jira"),
                "extra": add_on(command("close"), only="Jira"),
                "more": add_on(command("close")),
            },
            "command 'close' comes from 'extra' and 'more'",
        ),
        (
            {
                "jira": owner("Jira", command("a"), command("b")),
                "extra": add_on(command("b"), command("a"), only="Jira"),
            },
            "command 'a' comes from 'jira' and 'extra'; command 'b' comes from 'jira' and 'extra'",
        ),
    ],
)
def test_a_command_given_twice_refuses_the_pack(plugins: dict[str, object], text: str) -> None:
    registry = build({**plugins, "good": owner("Good")})
    assert reasons(registry) == {"jira": f"pack 'Jira' is refused: {text}"}
    assert list(registry.packs) == ["good"]


def test_an_owner_that_gives_a_command_twice_is_broken() -> None:
    registry = build({"jira": owner("Jira", command("x"), command("x")), "good": owner("Good")})
    assert reasons(registry) == {"jira": "command 'x' is given twice for pack 'Jira'"}
    assert list(registry.packs) == ["good"]


def test_an_add_on_that_gives_a_command_twice_does_not_take_packs_with_it() -> None:
    registry = build({"jira": owner("Jira"), "extra": add_on(command("x"), command("x"))})
    assert reasons(registry) == {"extra": "command 'x' is given twice for pack 'Jira'"}
    assert registry.packs["jira"].commands == {}


def test_a_clash_concerns_one_pack_and_not_the_other_packs_of_an_add_on() -> None:
    registry = build(
        {"a": owner("A", command("x")), "b": owner("B"), "extra": add_on(command("x"))}
    )
    assert list(registry.packs) == ["b"]
    assert list(reasons(registry)) == ["a"]
    assert list(registry.packs["b"].commands) == ["x"]


def test_two_packs_with_one_id_are_both_refused() -> None:
    registry = build({"a": owner("Same"), "b": owner("Same"), "c": owner("Other")})
    text = "'a' and 'b' are the same pack 'Same' to flyte: give them different names or labels"
    assert reasons(registry) == {"a": text, "b": text}
    assert list(registry.packs) == ["c"]


def test_labels_tell_packs_of_one_name_apart() -> None:
    registry = build(
        {"jira": owner("Jira")},
        PackConfig("one", "jira", labels={"env": "1"}),
        PackConfig("two", "jira", labels={"env": "2"}),
    )
    assert [pack.id for pack in registry.packs.values()] == ["Jira.env.1", "Jira.env.2"]


def test_ids_are_compared_and_not_names() -> None:
    registry = build({"a": owner("X.k.v"), "b": owner("X", labels={"k": "v"})})
    assert set(reasons(registry)) == {"a", "b"}


@pytest.mark.parametrize(
    "table",
    [
        PackConfig("extra", name="Mine"),
        PackConfig("extra", labels={"a": "b"}),
        PackConfig("extra", max_concurrent=1),
    ],
    ids=["name", "labels", "max_concurrent"],
)
def test_a_table_cannot_give_an_add_on_what_only_packs_have(table: PackConfig) -> None:
    registry = build({"jira": JiraOwner, "extra": Extra}, table)
    assert reasons(registry) == {
        "extra": "is an add-on: it does not own a pack that name, labels or max_concurrent "
        "could apply to; remove them from its table"
    }
    assert list(registry.packs["jira"].commands) == ["create", "close"]


# --- misbehaviour -----------------------------------------------------------------------------


def test_an_add_on_that_raises_for_one_pack_gives_to_none() -> None:
    class Picky:
        @hookimpl
        def flyte_commands(self, pack: PackDef) -> list[Command]:
            if pack.name == "Two":
                raise ValueError("not this one")
            return [command("picky")]

    registry = build({"one": owner("One"), "two": owner("Two"), "picky": Picky})
    assert list(registry.packs) == ["one", "two"]
    assert reasons(registry)["picky"].startswith("flyte_commands: ValueError: not this one (")
    assert all(pack.commands == {} for pack in registry.packs.values())


def test_an_owner_that_raises_takes_its_pack_with_it_and_add_ons_are_not_asked() -> None:
    class Owner:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef("Bad")

        @hookimpl
        def flyte_health_checks(self, pack: PackDef) -> list[HealthCheck]:
            raise RuntimeError("boom")

    extra = Extra()
    registry = build({"a_extra": extra, "bad": Owner, "good": owner("Good")})
    assert list(registry.packs) == ["good"]
    assert extra.asked == ["Good"]
    assert reasons(registry)["bad"].startswith("flyte_health_checks: RuntimeError: boom (")


def test_broken_plugins_are_logged_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    class Owner:
        @hookimpl
        def flyte_pack(self) -> object:
            return "Bad"

    registry = build({"bad": Owner})
    assert reasons(registry) == {"bad": "flyte_pack: returned a str, expected a PackDef"}
    assert not caplog.records  # a command prints what it needs of it
    log_problems(registry)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "plugin bad is broken: flyte_pack: returned a str, expected a PackDef"
    )
    assert record.__dict__["pack"] == "bad"


def test_hooks_that_hang_are_given_up() -> None:
    release = threading.Event()

    class Owner:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            release.wait(PATIENCE_SECONDS)
            return PackDef("Late")

    class Hanging:
        @hookimpl
        def flyte_commands(self, pack: PackDef) -> list[Command]:
            release.wait(PATIENCE_SECONDS)
            return []

    registry = build({"late": Owner, "hanging": Hanging, "good": owner("Good")}, limit_seconds=0.5)
    release.set()
    assert list(registry.packs) == ["good"]
    shown = reasons(registry)
    assert shown["late"].startswith("flyte_pack: did not return within 0.5 s (at tests/")
    assert shown["hanging"].startswith("flyte_commands: did not return within 0.5 s (at tests/")


def test_nothing_that_a_plugin_gives_ends_the_host() -> None:
    """Each of these once raised out of the merge."""

    def unresolvable(input: "list[Missing]") -> None: ...  # type: ignore[name-defined]  # noqa: F821  it is the point

    class Generating:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef("G", commands=(1 / 0 for _ in range(1)))

    registry = build(
        {
            "annotated": owner("A", Command("a", unresolvable, [])),
            "generating": Generating,
            "outputs": owner("O", Command("o", handler, (1 / 0 for _ in range(1)))),
            "endless": owner("E", Command("e", handler, [], timeout_seconds=float("inf"))),
            "good": owner("Good"),
        }
    )
    assert list(registry.packs) == ["good"]
    assert set(reasons(registry)) == {"annotated", "generating", "outputs", "endless"}


def test_flyte_gets_the_good_plugin_and_its_add_on_served_next_to_broken_ones(
    flyte_server: Any, flyte_run_host: Callable[..., Any]
) -> None:
    class Raising:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            raise ValueError("boom")

    plugins = {
        "good": owner("Good", command("echo", DONE)),
        "extra": add_on(command("more", DONE)),
        "one": owner("Same"),
        "raising": Raising,
        "two": owner("Same"),
        "unmarked": object(),
    }
    host = flyte_run_host(plugins, wait_ready=False)
    wait_until(lambda: flyte_server.packs() == ["Good"], "the good pack is registered")
    for name in ("echo", "more"):
        finished = flyte_server.run("Good", name, {"a": [1]})
        assert (finished.state, finished.event, finished.payload) == ("SUCCESS", "Done", {"a": [1]})
    _, ready = host.page("/ready")
    shown = ready["checks"]["plugins"]["reason"]
    assert all(name in shown for name in ("one: ", "two: ", "raising: ", "unmarked: "))
