"""Installed code becomes plugins, each on its own: what one does wrong concerns no other."""

import functools
import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import InitVar, dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NewType,
    Optional,
    SupportsInt,
    TypeAlias,
    TypedDict,
    TypeVar,
)

import importlib_metadata
import msgspec
import pytest

from flyte_host import Command, Event, EventDef, NotSetUp, PackDef, hookimpl
from flyte_host.config import PackConfig
from flyte_host.plugins import (
    GROUP,
    LOAD_SECONDS,
    InstalledPlugin,
    Loader,
    Plugin,
    Status,
    discover,
)
from flyte_host.plugins.contribution import ask_pack
from flyte_host.plugins.discovery import entry_points_on
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

HOOKS = "flyte_commands, flyte_event_defs, flyte_health_checks, flyte_observe, flyte_pack"
Installer = Callable[..., Path]


class GoodPlugin:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("GoodPlugin")


@dataclass(frozen=True)
class DataSettings:
    url: str
    retries: int = 3


class StructSettings(msgspec.Struct):
    url: str
    retries: int = 3
    api_key: str = msgspec.field(default="", name="apiKey")


class KeeperPlugin(GoodPlugin):
    """Keeps its settings, so that a test can look at them."""

    seen: ClassVar[list[Any]] = []

    def __init__(self, settings: Any) -> None:
        self.seen[:] = [settings]


class WithData(KeeperPlugin):
    def __init__(self, settings: DataSettings) -> None:
        super().__init__(settings)


class WithNested(KeeperPlugin):
    """The annotation is a string, with a name of the class's body."""

    Settings: TypeAlias = DataSettings

    def __init__(self, settings: "Settings") -> None:
        super().__init__(settings)


class Paint(Enum):
    RED = "red"


class ChoiceSettings(msgspec.Struct):
    url: str
    mode: Literal["fast", "safe"] = "safe"
    level: Literal[1, 2] = 1
    color: Paint | None = None
    more: list[int] = []


class WithChoice(KeeperPlugin):
    def __init__(self, settings: ChoiceSettings) -> None:
        super().__init__(settings)


class WithStruct(KeeperPlugin):
    def __init__(self, settings: StructSettings) -> None:
        super().__init__(settings)


class WithText(KeeperPlugin):
    def __init__(self, settings: "DataSettings") -> None:
        super().__init__(settings)


class WithDict(KeeperPlugin):
    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)


class WithDefault(KeeperPlugin):
    def __init__(self, settings: DataSettings = DataSettings("default")) -> None:
        super().__init__(settings)


class KeywordOnly(KeeperPlugin):
    def __init__(self, *, settings: DataSettings) -> None:
        super().__init__(settings)


class SettingsSecond(KeeperPlugin):
    def __init__(self, client: Any = None, settings: DataSettings | None = None) -> None:
        assert client is None
        super().__init__(settings)


class OldOptional(KeeperPlugin):
    def __init__(self, settings: Optional[DataSettings] = None) -> None:  # noqa: UP045  it is the point
        super().__init__(settings)


class SeveralShapes(KeeperPlugin):
    def __init__(self, settings: DataSettings | dict[str, Any] | None = None) -> None:
        super().__init__(settings)


T = TypeVar("T")


class RetryTable(msgspec.Struct):
    times: int = 1


class Pool(msgspec.Struct, Generic[T]):
    size: T
    retry: RetryTable | None = None


class Fast(msgspec.Struct, tag=True):
    lanes: int


class Safe(msgspec.Struct, tag=True):
    checks: list[RetryTable] = []
    by_name: dict[str, RetryTable | list[RetryTable]] = {}


class Folders(msgspec.Struct):
    home: Path
    others: list[Path] = []


class TypedTable(TypedDict):
    a: int


Renamed = NewType("Renamed", DataSettings)


def keeper_of(kind: object) -> Callable[..., object]:
    """A plugin whose settings are annotated with ``kind``."""

    def make(settings: Any) -> object:
        return KeeperPlugin(settings)

    make.__annotations__["settings"] = kind
    return make


class OtherName(KeeperPlugin):
    def __init__(self, table: DataSettings, retries: int = 1) -> None:
        super().__init__(table)


class PositionalOnly(KeeperPlugin):
    def __init__(self, settings: DataSettings, /) -> None:
        super().__init__(settings)


@dataclass
class AsDataclass(GoodPlugin):
    settings: DataSettings

    def __post_init__(self) -> None:
        KeeperPlugin.seen[:] = [self.settings]


def factory(settings: DataSettings) -> GoodPlugin:
    return WithData(settings)


def factory_with(prefix: str, settings: DataSettings) -> GoodPlugin:
    assert prefix == "p"
    return WithData(settings)


class Factory:
    def __call__(self, settings: DataSettings) -> GoodPlugin:
        return WithData(settings)

    def make(self, settings: DataSettings) -> GoodPlugin:
        return WithData(settings)

    def keep(self, table) -> GoodPlugin:  # type: ignore[no-untyped-def]  # noqa: ANN001  it is the point
        return KeeperPlugin(table)


def load(
    target: object,
    settings: Mapping[str, Any] | None = None,
    *,
    limit_seconds: float = PATIENCE_SECONDS,
    environ: Mapping[str, str] | None = None,
) -> Plugin:
    loader = Loader(
        [InstalledPlugin("demo", lambda: target)],
        environ or {},
        Scrubber(),
        limit_seconds=limit_seconds,
    )
    [plugin] = loader.load({"demo": PackConfig("demo", settings=settings or {})})
    return plugin


def reason(target: object, settings: Mapping[str, Any] | None = None, **more: Any) -> str:
    plugin = load(target, settings, **more)
    assert plugin.status is Status.BROKEN
    assert plugin.hooks is None
    return plugin.problem


def loaded(target: object, settings: Mapping[str, Any] | None = None, **more: Any) -> Plugin:
    plugin = load(target, settings, **more)
    assert (plugin.status, plugin.problem) == (Status.LOADED, "")
    return plugin


# --- what may be a plugin ---------------------------------------------------------------------


def test_a_class_without_init() -> None:
    plugin = loaded(GoodPlugin)
    assert plugin.call("flyte_pack") == PackDef("GoodPlugin")
    assert plugin.has("flyte_pack")
    assert not plugin.has("flyte_commands")
    assert plugin.call("flyte_commands", pack=PackDef("GoodPlugin")) is None


def test_a_ready_made_object() -> None:
    assert loaded(GoodPlugin()).call("flyte_pack") == PackDef("GoodPlugin")


def test_a_callable_object_that_has_hooks_is_used_as_it_is() -> None:
    class CallableGood(GoodPlugin):
        def __call__(self) -> None:
            raise AssertionError("it must not be called")

    assert loaded(CallableGood()).call("flyte_pack") == PackDef("GoodPlugin")


def test_a_module() -> None:
    module = ModuleType("some_pack")
    source = "from flyte_host import *\n@hookimpl\ndef flyte_pack(): return PackDef('Module')"
    exec(source, vars(module))
    assert loaded(module).call("flyte_pack") == PackDef("Module")


def test_hooks_may_be_class_and_static_methods() -> None:
    class Methods:
        @hookimpl
        @classmethod
        def flyte_pack(cls) -> PackDef:
            return PackDef(cls.__name__)

        @staticmethod
        @hookimpl
        def flyte_commands(pack: PackDef) -> list[Command]:
            return [Command(pack.name, EventDef("Done"), [])]

    class Outside:
        @classmethod
        @hookimpl
        def flyte_pack(cls) -> PackDef:
            return PackDef(cls.__name__)

    plugin = loaded(Methods)
    assert plugin.call("flyte_pack") == PackDef("Methods")
    assert plugin.call("flyte_commands", pack=PackDef("x")) == [Command("x", EventDef("Done"), [])]
    assert loaded(Outside).call("flyte_pack") == PackDef("Outside")


def test_a_hook_may_have_another_name() -> None:
    class Renamed:
        @hookimpl(specname="flyte_pack")
        def my_pack(self) -> PackDef:
            return PackDef("Renamed")

    assert loaded(Renamed).call("flyte_pack") == PackDef("Renamed")


def test_a_module_with_a_proxy_that_claims_every_attribute() -> None:
    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return self

        def __call__(self, *_: Any) -> Any:
            raise RuntimeError("working outside of request context")

    module = ModuleType("some_pack")
    vars(module)["request"] = Proxy()
    vars(module)["flyte_pack"] = hookimpl(lambda: PackDef("Proxied"))
    assert loaded(module).call("flyte_pack") == PackDef("Proxied")


def test_properties_of_a_plugin_are_not_run() -> None:
    class Property(GoodPlugin):
        @property
        def costly(self) -> str:
            raise RuntimeError("not now")

    assert loaded(Property).call("flyte_pack") == PackDef("GoodPlugin")


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        WithData,
        WithNested,
        WithText,
        KeywordOnly,
        SettingsSecond,
        OldOptional,
        OtherName,
        PositionalOnly,
        AsDataclass,
        factory,
        Factory(),
        Factory().make,
        functools.partial(factory_with, "p"),
        functools.partial(WithData),
    ],
    ids=itertools.count(),
)
def test_settings_become_the_annotated_dataclass(target: object) -> None:
    loaded(target, {"url": "http://x"})
    assert KeeperPlugin.seen == [DataSettings("http://x", 3)]


def test_settings_become_the_annotated_struct() -> None:
    loaded(WithStruct, {"url": "http://x", "apiKey": "k"})
    assert KeeperPlugin.seen == [StructSettings("http://x", 3, "k")]


@pytest.mark.parametrize(
    ("kind", "settings", "seen"),
    [
        (Pool[int], {"size": 3}, Pool(3)),
        (Annotated[DataSettings, "told"], {"url": "u"}, DataSettings("u", 3)),
        (Renamed, {"url": "u"}, DataSettings("u", 3)),
        (Renamed | None, {"url": "u"}, DataSettings("u", 3)),
        (Fast | Safe, {"type": "Fast", "lanes": 2}, Fast(2)),
        (Fast, {"type": "Fast", "lanes": 2}, Fast(2)),
        (
            Folders,
            {"home": "/home", "others": ["a"]},
            Folders(Path("/home"), [Path("a")]),
        ),
    ],
    ids=itertools.count(),
)
def test_settings_become_what_an_annotation_stands_for(
    kind: object, settings: dict[str, Any], seen: object
) -> None:
    loaded(keeper_of(kind), settings)
    assert KeeperPlugin.seen == [seen]


@pytest.mark.parametrize("kind", [str, Path, Pool | int, GoodPlugin], ids=str)
def test_settings_that_no_table_can_be_converted_to_are_refused(kind: Any) -> None:
    name = getattr(kind, "__name__", "Pool or int")
    assert reason(keeper_of(kind), {"url": "u"}) == (
        f"its settings are annotated with {name}, which no table can be converted to; "
        "expected a dataclass, a msgspec Struct or a dict"
    )


def test_settings_of_a_class_that_cannot_be_filled_are_refused() -> None:
    @dataclass
    class Half:
        url: str
        salt: InitVar[int] = 1

    assert reason(keeper_of(Half), {"url": "u"}) == (
        "its settings have a type that no table can be converted to: "
        "dataclasses with `InitVar` fields are not supported"
    )


@pytest.mark.parametrize(
    "target",
    [
        WithDict, KeeperPlugin, SeveralShapes, Factory().keep, keeper_of(Any), keeper_of(object),
        keeper_of(Mapping[str, int]), keeper_of(TypedTable),
        keeper_of(SupportsInt), keeper_of(T),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_settings_of_no_known_shape_are_a_plain_dict(target: object) -> None:
    loaded(target, {"a": {"b": [1]}})
    assert KeeperPlugin.seen == [{"a": {"b": [1]}}]


def test_settings_are_given_even_if_the_parameter_has_a_default() -> None:
    loaded(WithDefault, {"url": "http://x"})
    assert KeeperPlugin.seen == [DataSettings("http://x", 3)]


def test_secrets_in_settings_are_resolved_and_scrubbed() -> None:
    class Telling:
        def __init__(self, settings: dict[str, str]) -> None:
            raise ValueError(f"login with {settings['password']} failed")

    text = reason(Telling, {"password": {"env": "PASSWORD"}}, environ={"PASSWORD": "canary-secret"})
    assert text.startswith("ValueError: login with *** failed (plugins/test_loader.py:")


@pytest.mark.parametrize(
    ("target", "settings", "text"),
    [
        (WithData, {}, "settings.url: missing"),
        (
            WithChoice,
            {"mode": "slow", "level": 3, "color": "blue", "more": [1, "x"]},
            (
                "settings.color: invalid enum value 'blue', expected one of 'red'; "
                "settings.level: invalid enum value 3, expected one of 1, 2; "
                "settings.mode: invalid enum value 'slow', expected one of 'fast', 'safe'; "
                "settings.more[1]: expected int, got str; "
                "settings.url: missing"
            ),
        ),
        (WithData, {"url": 5}, "settings.url: expected str, got int"),
        (WithData, {"url": "u", "retries": "3"}, "settings.retries: expected int, got str"),
        (
            WithData,
            {"url": "u", "retrys": 1, "zz": 2},
            'settings.retrys: unknown (did you mean "retries"?); settings.zz: unknown',
        ),
        (
            WithStruct,
            {"url": "u", "api_key": "k"},
            'settings.api_key: unknown (did you mean "apiKey"?)',
        ),
        (
            keeper_of(Pool[int]),
            {"size": 1, "retry": {"tims": 2}},
            'settings.retry.tims: unknown (did you mean "times"?)',
        ),
        (
            keeper_of(Fast | Safe),
            {
                "type": "Safe",
                "lanes": 1,
                "checks": [{}, {"x": 1}],
                "by_name": {"a": {"y": 1}, "b": [{"z": 1}]},
            },
            (
                "settings.by_name.a.y: unknown; settings.by_name.b[0].z: unknown; "
                "settings.checks[1].x: unknown; settings.lanes: unknown"
            ),
        ),
        (
            keeper_of(Fast | Safe),
            {"type": "Slow"},
            "settings.type: invalid value 'Slow', expected one of 'Fast', 'Safe'",
        ),
        (keeper_of(Folders), {"home": 3}, "settings.home: expected Path, got int"),
        (
            GoodPlugin,
            {"url": "u", "retries": 1},
            "settings: found url, retries, but this plugin takes no settings",
        ),
        (GoodPlugin(), {"url": "u"}, "settings: found url, but this plugin takes no settings"),
        (
            lambda *args, **kwargs: GoodPlugin(),
            {"url": "u"},
            "settings: found url, but this plugin takes no settings",
        ),
        (
            KeeperPlugin,
            {"password": {"env": "NOWHERE"}},
            "settings.password: the environment variable NOWHERE is not set, expected a secret",
        ),
    ],
)
def test_settings_that_do_not_fit(target: object, settings: Mapping[str, Any], text: str) -> None:
    assert reason(target, settings) == text


class Unconfigured(GoodPlugin):
    def __init__(self, settings: dict[str, str]) -> None:
        if not settings:
            raise NotSetUp("url: missing; set it in the pack's settings")


class RefusesAll(GoodPlugin):
    def __init__(self, settings: dict[str, str]) -> None:
        raise ValueError(f"url: found {settings!r}")


def without_table(target: object) -> Plugin:
    loader = Loader([InstalledPlugin("demo", lambda: target)], {}, Scrubber())
    [plugin] = loader.load({})
    return plugin


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        (Unconfigured, "url: missing; set it in the pack's settings"),
        (WithStruct, "settings.url: missing"),
        (keeper_of(Fast | Safe), "settings: object missing required field type"),
    ],
)
def test_a_plugin_without_the_settings_it_needs_is_not_set_up(target: object, needs: str) -> None:
    plugin = without_table(target)
    assert (plugin.status, plugin.problem, plugin.hooks) == (Status.NOT_SET_UP, needs, None)
    assert reason(target) == needs  # an empty table asks for it


def test_a_plugin_that_refuses_what_it_found_elsewhere_is_broken() -> None:
    """Such as a variable of the environment: that is a mistake, not somebody else's pack."""
    plugin = without_table(RefusesAll)
    assert plugin.status is Status.BROKEN
    assert plugin.problem.startswith("ValueError: url: found {}")


def test_settings_with_an_annotation_that_means_nothing() -> None:
    def typed(settings: dict[str, str]) -> "Missing":  # type: ignore[name-defined]  # noqa: F821  it is the point
        return GoodPlugin()

    loaded(typed)

    def unresolvable(settings: "Missing") -> GoodPlugin:  # type: ignore[name-defined]  # noqa: F821  it is the point
        return GoodPlugin()

    assert reason(unresolvable).startswith("NameError: name 'Missing' is not defined")


# --- what a plugin may do wrong ---------------------------------------------------------------


class Misspelt:
    @hookimpl
    def flyte_comands(self, pack: PackDef) -> list[Command]:
        return []


class Invented:
    @hookimpl
    def flyte_zzzzzz(self) -> None: ...


class Unmarked:
    def flyte_pack(self) -> PackDef:
        return PackDef("Never asked")


class HalfMarked(GoodPlugin):
    def flyte_health_checks(self, pack: PackDef) -> list[Any]:
        return []


class TwoArguments:
    def __init__(self, url: str, user: str, port: int = 1) -> None: ...


class WrongArgument:
    @hookimpl
    def flyte_commands(self, pak: PackDef) -> list[Command]:
        return []


class ExitingPlugin:
    def __init__(self) -> None:
        sys.exit(4)


class RaisingPlugin:
    def __init__(self) -> None:
        raise ConnectionError("no route to host")


class AsyncObserver(GoodPlugin):
    @hookimpl
    async def flyte_observe(self, pack: PackDef) -> None:
        raise AssertionError("nobody calls it")


class GeneratingAsync:
    @hookimpl(specname="flyte_commands")
    async def commands(self, pack: PackDef) -> AsyncIterator[Command]:
        yield Command("run", EventDef("Done"), [])


class YieldingObserver:
    @hookimpl
    def flyte_observe(self, pack: PackDef) -> Iterator[Event]:
        yield EventDef("Done")()


def test_an_observer_that_yields_its_events() -> None:
    assert reason(YieldingObserver) == (
        "flyte_observe has a yield, so its body would never run: call emit(event) instead"
    )


@pytest.mark.parametrize(
    ("target", "hook"), [(AsyncObserver, "flyte_observe"), (GeneratingAsync, "flyte_commands")]
)
def test_a_hook_that_nobody_would_await(target: object, hook: str) -> None:
    assert reason(target) == (
        f"{hook} is async, but hooks are called in threads, not on an event loop: make it a plain "
        "function"
    )


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Misspelt, 'flyte_comands is not a hook of flyte-host (did you mean "flyte_commands"?)'),
        (Invented, "flyte_zzzzzz is not a hook of flyte-host"),
        (Unmarked, "flyte_pack is not marked with @hookimpl, so it would never be called"),
        (
            HalfMarked,
            "flyte_health_checks is not marked with @hookimpl, so it would never be called",
        ),
        (object, f"has none of the hooks {HOOKS}: found an object"),
        ("a string", f"has none of the hooks {HOOKS}: found a str"),
        (None, f"has none of the hooks {HOOKS}: found nothing"),
        (lambda: None, f"has none of the hooks {HOOKS}: found nothing"),
    ],
)
def test_hooks_that_would_never_be_called(target: object, text: str) -> None:
    assert reason(target) == text


def test_a_hook_with_an_argument_that_it_does_not_get() -> None:
    assert reason(WrongArgument) == (
        "flyte_commands takes 'pak' (did you mean \"pack\"?); its arguments: pack"
    )


def test_a_constructor_that_requires_more_than_settings() -> None:
    assert reason(TwoArguments) == (
        "its constructor requires url, user; expected settings alone, or nothing"
    )


def test_a_constructor_that_raises() -> None:
    text = reason(RaisingPlugin)
    assert text.startswith("ConnectionError: no route to host (plugins/test_loader.py:")


def test_a_constructor_that_raises_an_error_from_itself() -> None:
    class Circular(GoodPlugin):
        def __init__(self) -> None:
            error = ConnectionError("no route to host")
            raise error from error

    assert reason(Circular).startswith("ConnectionError: no route to host (plugins/test_loader.py:")


def test_a_constructor_that_exits() -> None:
    assert reason(ExitingPlugin).startswith("called sys.exit(4) (plugins/test_loader.py:")


def test_a_constructor_that_hangs() -> None:
    release = threading.Event()

    class Hanging:
        def __init__(self) -> None:
            release.wait(PATIENCE_SECONDS)

    text = reason(Hanging, limit_seconds=0.5)
    release.set()
    assert text.startswith("did not return within 0.5 s (at plugins/test_loader.py:")
    assert text.endswith(": release.wait(PATIENCE_SECONDS))")


def test_broken_later_keeps_what_it_was() -> None:
    plugin = loaded(GoodPlugin)
    broken = plugin.as_broken("its hook raised")
    assert (broken.status, broken.problem) == (Status.BROKEN, "its hook raised")
    assert (broken.config, broken.installed) == (plugin.config, plugin.installed)
    assert not broken.has("flyte_pack")
    assert broken.call("flyte_pack") is None


# --- which plugins a host gets ----------------------------------------------------------------


def test_a_limit_is_set_by_default() -> None:
    assert LOAD_SECONDS == 20
    assert Loader([], {}, Scrubber()).load({}) == []


def installed_as(name: str, target: object) -> InstalledPlugin:
    return InstalledPlugin(name, lambda: target)


def installed_plugins(**targets: object) -> list[InstalledPlugin]:
    return [installed_as(name, target) for name, target in targets.items()]


def load_all(found: list[InstalledPlugin], **packs: PackConfig) -> dict[str, Plugin]:
    plugins = Loader(found, {}, Scrubber(), limit_seconds=5).load(packs)
    return {plugin.config.pack_key: plugin for plugin in plugins}


def test_a_plugin_that_no_table_names_is_served_with_defaults() -> None:
    plugins = load_all(
        installed_plugins(jira=GoodPlugin, shell=GoodPlugin), jira=PackConfig("jira")
    )
    assert {name: plugin.status for name, plugin in plugins.items()} == {
        "jira": Status.LOADED,
        "shell": Status.LOADED,
    }
    assert plugins["shell"].config == PackConfig("shell")


def test_one_plugin_serves_several_packs_with_settings_of_their_own() -> None:
    imports: list[str] = []

    def imported() -> object:
        imports.append("once")
        return Own

    class Own:
        def __init__(self, settings: dict[str, Any]) -> None:
            self.settings = settings

        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef(self.settings["name"])

    plugins = load_all(
        [InstalledPlugin("own", imported)],
        one=PackConfig("one", "own", settings={"name": "One"}),
        two=PackConfig("two", "own", settings={"name": "Two"}),
    )
    assert {name: each.call("flyte_pack").name for name, each in plugins.items()} == {
        "one": "One",
        "two": "Two",
    }
    assert imports == ["once"]


def test_a_broken_import_is_tried_once_for_all_packs() -> None:
    imports: list[str] = []

    def imported() -> object:
        imports.append("once")
        raise ImportError("No module named 'jira'")

    plugins = load_all(
        [InstalledPlugin("own", imported)],
        one=PackConfig("one", "own"),
        two=PackConfig("two", "own"),
    )
    for plugin in plugins.values():
        assert plugin.status is Status.BROKEN
        assert plugin.problem.startswith("import: ImportError: No module named 'jira' (plugins/")
    assert imports == ["once"]


def test_a_disabled_plugin_is_not_even_imported() -> None:
    def imported() -> object:
        raise AssertionError("it must not be imported")

    plugins = load_all([InstalledPlugin("x", imported)], x=PackConfig("x", enabled=False))
    assert (plugins["x"].status, plugins["x"].problem) == (Status.DISABLED, "enabled = false")
    assert plugins["x"].call("flyte_pack") is None


@pytest.mark.parametrize(
    ("installed", "text"),
    [
        (
            ["jira", "shell"],
            "no plugin 'jria' is installed (did you mean \"jira\"?); installed: jira, shell",
        ),
        ([], "no plugin 'jria' is installed; installed: none"),
    ],
)
def test_a_plugin_that_is_not_installed(installed: list[str], text: str) -> None:
    found = installed_plugins(**dict.fromkeys(installed, GoodPlugin))
    plugin = load_all(found, mine=PackConfig("mine", "jria"))["mine"]
    assert (plugin.status, plugin.problem, plugin.installed.name) == (Status.BROKEN, text, "jria")


def test_a_table_that_takes_the_name_of_another_plugin_displaces_it_visibly() -> None:
    plugins = load_all(
        installed_plugins(jira=GoodPlugin, shell=GoodPlugin), jira=PackConfig("jira", "shell")
    )
    assert plugins["jira"].status is Status.LOADED
    assert plugins["jira"].installed.name == "shell"
    displaced = plugins["jira (plugin)"]
    assert (displaced.status, displaced.problem) == (
        Status.BROKEN,
        (
            "is not served: the table [packs.jira] uses plugin 'shell'; rename that table, "
            "or add one with plugin = 'jira'"
        ),
    )


def test_two_tables_may_swap_names() -> None:
    plugins = load_all(
        installed_plugins(jira=GoodPlugin, shell=GoodPlugin),
        jira=PackConfig("jira", "shell"),
        shell=PackConfig("shell", "jira"),
    )
    assert {name: each.installed.name for name, each in plugins.items()} == {
        "jira": "shell",
        "shell": "jira",
    }


# --- entry points -----------------------------------------------------------------------------


def found_in(site: Path) -> dict[str, InstalledPlugin]:
    distributions = importlib_metadata.distributions(path=[str(site)])
    points = [point for each in distributions for point in each.entry_points.select(group=GROUP)]
    return {source.name: source for source in discover(points)}


def test_what_is_installed_is_found_with_its_version(installed: Installer) -> None:
    installed("zeta", "")
    source = found_in(installed("alpha", ""))
    assert list(source) == ["alpha", "zeta"]
    alpha = source["alpha"]
    assert (alpha.name, alpha.distribution, alpha.version) == ("alpha", "alpha", "1.2.3")
    assert alpha.problem == ""


def test_two_distributions_with_one_name_are_both_refused(installed: Installer) -> None:
    installed("jira", "raise AssertionError", distribution="flyte-pack-jira")
    site = installed("jira", "raise AssertionError", distribution="acme-jira")
    text = "acme-jira and flyte-pack-jira both have a plugin 'jira': uninstall one of them"
    source = found_in(site)["jira"]
    assert source.problem == text
    plugin = load_all([source])["jira"]
    assert (plugin.status, plugin.problem) == (Status.BROKEN, text)


def test_a_distribution_without_metadata_is_still_found(installed: Installer) -> None:
    site = installed("half", "")
    next(site.glob("*.dist-info/METADATA")).unlink()
    half = found_in(site)["half"]
    assert (half.distribution, half.version) == ("a distribution without metadata", "")


def test_an_entry_point_of_no_distribution() -> None:
    point = importlib_metadata.EntryPoint("x", "some.module:plugin", GROUP)
    [source] = discover([point])
    assert (source.name, source.distribution, source.version) == (
        "x",
        "an unnamed distribution",
        "",
    )


def test_this_environment_is_searched_by_default() -> None:
    names = {point.name for point in importlib_metadata.entry_points(group=GROUP)}
    assert {source.name for source in discover()} == names


# --- all at once, as installed ----------------------------------------------------------------

HEAD = "from flyte_host import *\n"
OWNER = HEAD + "class plugin:\n    @hookimpl\n    def flyte_pack(self): %s\n"
BROKEN = {
    "importing": "import no_such_module_anywhere\n",
    "exiting": "import sys\nsys.exit(9)\n",
    "hanging": "import threading\nthreading.Event().wait()\n",
    "constructing": HEAD + "def plugin(): raise OSError('disk full')\n",
    "misspelt": OWNER.replace("flyte_pack", "flyte_pak") % "pass",
    "unmarked": "class plugin:\n    def flyte_pack(self): pass\n",
    "hookless": "plugin = object()\n",
    "raising": OWNER % "raise LookupError('no tenant')",
    "nonsense": OWNER % "return 'Pack'",
    "nameless": "pulgin = 1\n",
}
SHOW = """
import json
import shutil
from flyte_host.config import Config, FlyteConfig
from flyte_host.plugins import Loader, discover
from flyte_host.packs import merge_packs
from flyte_host.secrets import Scrubber
ours = [each for each in discover() if each.version == "1.2.3"]
plugins = Loader(ours, {}, Scrubber(), limit_seconds=3).load({})
registry = merge_packs(plugins, Config(FlyteConfig("http://flyte")))
broken = {each.config.pack_key: each.problem for each in registry.broken}
print(json.dumps([broken, [pack.id for pack in registry.packs.values()]]))
"""


def test_a_good_plugin_among_broken_ones(installed: Installer) -> None:
    for name, source in BROKEN.items():
        installed(name, source)
    for distribution in ("acme-twice", "other-twice"):
        installed("twice", "raise AssertionError", distribution=distribution)
    site = installed("good", OWNER % "return PackDef('GoodPlugin')")
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    broken, served = json.loads(done.stdout)
    assert served == ["GoodPlugin"]
    nameless = broken.pop("nameless")
    assert nameless == (
        "import: entry point installed_nameless:plugin: installed_nameless has no plugin "
        '(did you mean "pulgin"?)'
    )
    assert broken == {
        "importing": "import: ModuleNotFoundError: No module named 'no_such_module_anywhere' "
        "(site/installed_importing.py:1)",
        "exiting": "import: called sys.exit(9) (site/installed_exiting.py:2)",
        "hanging": "import: did not return within 3 s "
        "(at site/installed_hanging.py:2: threading.Event().wait())",
        "constructing": "OSError: disk full (site/installed_constructing.py:2)",
        "misspelt": 'flyte_pak is not a hook of flyte-host (did you mean "flyte_pack"?)',
        "unmarked": "flyte_pack is not marked with @hookimpl, so it would never be called",
        "hookless": f"has none of the hooks {HOOKS}: found an object",
        "raising": "flyte_pack: LookupError: no tenant (site/installed_raising.py:4)",
        "nonsense": "flyte_pack: returned a str, expected a PackDef",
        "twice": "acme-twice and other-twice both have a plugin 'twice': uninstall one of them",
    }


def test_a_distribution_that_cannot_be_read_hides_no_other(
    installed: Installer, caplog: pytest.LogCaptureFixture
) -> None:
    site = installed("good", "plugin = None\n")
    broken = site / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text("[flyte_host.packs]\nno equals sign\n")
    found = discover(entry_points_on([str(site)]))
    assert [source.name for source in found] == ["good"]
    assert "ignoring a distribution whose entry points cannot be read: " in caplog.text


def test_a_distribution_earlier_on_the_path_hides_its_namesake(
    installed: Installer, tmp_path: Path
) -> None:
    site = installed("twin", "plugin = None\n")
    copy = tmp_path / "copy"
    shutil.copytree(site, copy)
    found = discover(entry_points_on([str(site), str(copy)]))
    assert [(source.name, source.problem) for source in found] == [("twin", "")]


def test_a_distribution_without_metadata_hides_nothing(installed: Installer) -> None:
    site = installed("good", "plugin = None\n")
    next(site.glob("*.dist-info/METADATA")).unlink()
    found = discover(entry_points_on([str(site)]))
    assert [(source.name, source.distribution) for source in found] == [
        ("good", "a distribution without metadata")
    ]


def test_a_disabled_table_of_a_plugin_that_is_not_installed_is_disabled() -> None:
    pack = PackConfig("gone", "gone", enabled=False)
    [plugin] = Loader([], {}, Scrubber()).load({"gone": pack})
    assert (plugin.status, plugin.problem) == (Status.DISABLED, "enabled = false")


class SlowPlugin:
    """Takes as long as the test wants it to, at import, when it is made, and in a hook."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    @hookimpl
    def flyte_pack(self) -> PackDef:
        assert self.go_on.wait(20)
        return PackDef("SlowPlugin")


@pytest.mark.parametrize("what", ["its import", "its constructor"])
def test_a_slow_plugin_is_blamed_before_it_is_too_late(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()

    def waits() -> object:
        assert go_on.wait(20)
        return GoodPlugin()

    def load() -> object:
        return waits() if what == "its import" else waits

    loader = Loader([InstalledPlugin("slow", load)], {}, Scrubber(), limit_seconds=PATIENCE_SECONDS)
    plugins: list[Plugin] = []
    loading = threading.Thread(target=lambda: plugins.extend(loader.load({})))
    loading.start()
    wait_until(lambda: loader.problem, "it is found slow")
    assert loader.problem.startswith(f"slow: {what} is taking long (at plugins/test_loader.py:")
    told = f"{what} is taking long (at plugins/test_loader.py:"
    wait_until(lambda: told in caplog.text, "the log says so")
    go_on.set()
    loading.join(PATIENCE_SECONDS)
    [plugin] = plugins
    assert plugin.status is Status.LOADED
    assert plugin.load_seconds > 1
    assert loader.problem == ""


def test_a_hook_that_takes_long_is_blamed(caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowPlugin()
    [plugin] = Loader([InstalledPlugin("slow", lambda: slow)], {}, Scrubber()).load({})
    asked: list[PackDef | None] = []
    asking = threading.Thread(target=lambda: asked.append(ask_pack(plugin)))
    asking.start()
    wait_until(lambda: "flyte_pack is taking long (at " in caplog.text, "it is told")
    slow.go_on.set()
    asking.join(20)
    assert asked == [PackDef("SlowPlugin")]


RECONFIGURES = """
import io, logging, logging.config, sys
from flyte_host import NotSetUp, PackDef, hookimpl
from flyte_host.config import PackConfig
from flyte_host.logs import configure
from flyte_host.plugins import InstalledPlugin, Loader
from flyte_host.secrets import Scrubber

class Selfish:
    def __init__(self):
        logging.config.dictConfig({"version": 1, "root": {"handlers": []}})

    @hookimpl
    def flyte_pack(self):
        return PackDef("Selfish")

stream = io.StringIO()
output = configure("text", "info", Scrubber(), stream)
other = logging.getLogger("other_plugin")
other.info("before")
Loader([InstalledPlugin("selfish", lambda: Selfish)], {}, Scrubber()).load({})
other.info("after")
output.flush(30)
_, *lines = stream.getvalue().splitlines()
print(*(" ".join(line.split()[1:]) for line in lines), sep="\\n")
"""


def test_a_plugin_that_configures_logging_does_not_silence_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RECONFIGURES], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.splitlines() == [
        "INFO - before",
        "WARNING selfish selfish disabled loggers of other plugins: enabled them again",
        "INFO - after",
    ]


SHALLOW = """
import sys
from flyte_host import PackDef, hookimpl
from flyte_host.plugins import InstalledPlugin, Loader
from flyte_host.secrets import Scrubber

class Shallow:
    def __init__(self):
        sys.setrecursionlimit(60)

before = sys.getrecursionlimit()
Loader([InstalledPlugin("shallow", lambda: Shallow)], {}, Scrubber()).load({})
print(sys.getrecursionlimit() == before)
"""


def test_a_plugin_that_lowers_the_recursion_limit_does_so_for_nobody_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHALLOW], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "True\n"
