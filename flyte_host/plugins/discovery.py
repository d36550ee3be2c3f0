"""What is installed → installed plugins, not yet imported.

Owns how our entry points are found, whatever else is installed or half installed. Must not import
what they name.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import importlib_metadata

from flyte_host.foreign_code import Misbehaved, headline
from flyte_host.metadata import read_metadata
from flyte_host.text import nearest

GROUP = "flyte_host.packs"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """Installed code that says it is a plugin; ``problem`` is why it must not be imported.

    ``target`` is what ``load`` loads, as ``module:attribute``, if another process can load it too.
    """

    name: str
    load: Callable[[], object]
    distribution: str = ""
    version: str = ""
    problem: str = ""
    target: str = ""


def discover(
    entry_points: Iterable[importlib_metadata.EntryPoint] | None = None,
) -> list[InstalledPlugin]:
    """What is installed, sorted by name; a name that two distributions use is refused for both."""
    named: dict[str, list[importlib_metadata.EntryPoint]] = {}
    for entry_point in entry_points_on() if entry_points is None else entry_points:
        named.setdefault(entry_point.name, []).append(entry_point)
    return [_installed_plugin(named[name]) for name in sorted(named)]


def plugin_named(name: str, target: str) -> InstalledPlugin:
    """The plugin ``name`` that an entry point with ``target``, ``module:attribute``, would load."""
    return InstalledPlugin(
        name, partial(_load, importlib_metadata.EntryPoint(name, target, GROUP)), target=target
    )


def entry_points_on(path: list[str] | None = None) -> Iterator[importlib_metadata.EntryPoint]:
    """Our entry points of every distribution; one that cannot be read hides no other."""
    seen: set[str] = set()
    for dist in importlib_metadata.distributions(path=sys.path if path is None else path):
        try:
            ours = dist.entry_points.select(group=GROUP)
        except Exception as error:  # it depends on what is broken
            log.warning(
                "ignoring a distribution whose entry points cannot be read: %s", headline(error)
            )
            continue
        if not ours:
            continue  # without reading its metadata
        # A distribution hides those with the same name later on the path, as in imports.
        name = _normal_name(dist)
        if name not in seen:
            seen |= {name} if name else set()
            yield from ours


def _normal_name(dist: Any) -> str:
    try:
        return re.sub(r"[-_.]+", "-", read_metadata(dist)["name"]).lower()
    except Exception:  # an interrupted (un)installation left no metadata
        return ""


def _installed_plugin(same_name: list[importlib_metadata.EntryPoint]) -> InstalledPlugin:
    first = same_name[0]
    problem = ""
    if len(same_name) > 1:
        owners = " and ".join(sorted(_distribution(each)[0] for each in same_name))
        problem = f"{owners} both have a plugin {first.name!r}: uninstall one of them"
    return InstalledPlugin(
        first.name, partial(_load, first), *_distribution(first), problem, first.value
    )


def _load(entry_point: importlib_metadata.EntryPoint) -> object:
    """What the entry point names; raises Misbehaved if that is nothing, else as its module does."""
    value, module_name = entry_point.value, entry_point.module
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        shape = "" if ":" in value else "; expected module:attribute"
        raise Misbehaved(f"entry point {value}: there is no module {error.name}{shape}") from error
    found: object = module
    for name in entry_point.attr.split(".") if entry_point.attr else ():
        if not hasattr(found, name):
            near = nearest(name, vars(found) if hasattr(found, "__dict__") else ())
            raise Misbehaved(f"entry point {value}: {module_name} has no {name}{near}")
        found = getattr(found, name)
    return found


def _distribution(entry_point: importlib_metadata.EntryPoint) -> tuple[str, str]:
    """Name and version; what an interrupted (un)installation left behind may have neither."""
    try:
        if entry_point.dist is None:
            return "an unnamed distribution", ""
        found = read_metadata(entry_point.dist)
        return found["name"], found["version"]
    except Exception:  # it depends on what is missing
        return "a distribution without metadata", ""
