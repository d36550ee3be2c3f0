"""Plugin objects instead of installed entry points, and their tables instead of a file.

Owns how a test's plugins and settings become packs. Must not know a running host: a call of one
handler needs none.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flyte_host.config import Config, FlyteConfig, HealthConfig, HostConfig
from flyte_host.config.file import read_packs
from flyte_host.config.parser import Place, read_table
from flyte_host.errors import ConfigError
from flyte_host.packs import ServedPacks, merge_packs
from flyte_host.plugins import InstalledPlugin, Loader, plugin_named
from flyte_host.secrets import Scrubber

Plugins = Mapping[str, object]
Tables = Mapping[str, Mapping[str, Any]]

PLUGIN = "plugin"
"""The pack key of a plugin that is served alone."""


def host_config(url: str, state: Path, packs: Tables, host: Mapping[str, Any]) -> Config:
    """A configuration as a TOML file would give it; ``host`` are keys of ``[host]``.

    Raises ConfigError with all that such a file would be refused for.
    """
    root = Place("", Path.cwd(), [])
    keys = {"state": state, **host}
    texts = {key: str(each) if isinstance(each, Path) else each for key, each in keys.items()}
    config = Config(
        flyte=FlyteConfig(url=url),
        host=read_table(HostConfig, texts, root.key("host")),
        health=HealthConfig(listen="127.0.0.1:0"),
        packs=read_packs({key: _plain(table) for key, table in packs.items()}, root.key("packs")),
    )
    if root.problems:
        raise ConfigError(root.problems)
    return config


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with dicts where a test may give any mapping."""
    return {key: dict(each) if isinstance(each, Mapping) else each for key, each in table.items()}


def install(plugins: Plugins) -> list[InstalledPlugin]:
    """Plugins as if they were installed: objects, or texts as in entry points, ``module:name``."""
    return [
        plugin_named(name, made)
        if isinstance(made, str)
        else InstalledPlugin(name, lambda made=made: made)  # type: ignore[misc]
        for name, made in plugins.items()
    ]


@contextmanager
def serving(plugins: Plugins, packs: Tables, scrubber: Scrubber) -> Iterator[ServedPacks]:
    """What a host would serve; processes of isolated plugins last as long as this."""
    config = host_config("http://127.0.0.1:1", Path("unused.db"), packs, {})
    loader = Loader(install(plugins), {}, scrubber)
    try:
        yield merge_packs(loader.load(config.packs), config)
    finally:
        loader.close()
