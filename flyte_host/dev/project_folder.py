"""A project's folder → its plugins, as if they were installed.

Owns where entry points are declared and where modules are searched. Must not import any.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flyte_host.config.toml_decoding import decode_toml
from flyte_host.errors import ConfigError
from flyte_host.foreign_code import headline
from flyte_host.given_file import read_file
from flyte_host.plugins.discovery import GROUP, InstalledPlugin, plugin_named
from flyte_host.text import quoted, reason

WHERE = f'[project.entry-points."{GROUP}"]'
HINT = f'expected a table {WHERE} with a line such as: pager = "flyte_pack_pager:PagerPack"'

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """What a project says of itself; ``search_path`` is where Python finds its modules."""

    path: Path
    plugins: tuple[InstalledPlugin, ...]
    search_path: tuple[str, ...]


def read_project(path: Path) -> ProjectFolder:
    """Read ``pyproject.toml`` in the folder ``path``; raises ConfigError."""
    file = path / "pyproject.toml"
    try:
        content = read_file(file)
    except OSError as error:
        raise ConfigError(
            [f"{file} cannot be read: {reason(error)}; expected the folder of a pack's project"]
        ) from None
    document = decode_toml(file, content)
    named = _entry_points(document)
    if not isinstance(named, Mapping) or not named:
        raise ConfigError([f"{file}: found no plugin, {HINT}"])
    version = str(_at(document, "project", "version") or "")
    distribution = str(_at(document, "project", "name") or path.name)
    problems = [
        f"{file}: {WHERE} {name}: found {quoted(str(target))}, expected module:attribute"
        for name, target in named.items()
        if not isinstance(target, str) or not target.partition(":")[2]
    ]
    if problems:
        raise ConfigError(problems)
    shown: set[str] = set()
    plugins = (
        replace(
            _shown(plugin_named(name, target), shown), distribution=distribution, version=version
        )
        for name, target in sorted(named.items())
    )
    homes = [path / "src", path] if (path / "src").is_dir() else [path]
    return ProjectFolder(path, tuple(plugins), tuple(map(str, homes)))


def _entry_points(document: Mapping[str, Any]) -> Any:
    """As the standard has them, or as Poetry wrote them before it followed the standard."""
    return _at(document, "project", "entry-points", GROUP) or _at(
        document, "tool", "poetry", "plugins", GROUP
    )


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _shown(plugin: InstalledPlugin, shown: set[str]) -> InstalledPlugin:
    """The same plugin; the log shows where its import fails, not only that it does.

    ``shown`` has the failures already shown: two plugins of a project may fail in the same line.
    """
    load: Callable[[], object] = plugin.load

    def load_and_show() -> object:
        try:
            return load()
        except BaseException as error:
            if (what := headline(error)) not in shown:
                shown.add(what)
                log.error(
                    "plugin %s cannot be imported",
                    plugin.name,
                    exc_info=(type(error), error, error.__traceback__),
                    extra={"pack": plugin.name},
                )
            raise

    return replace(plugin, load=load_and_show)
