"""What plugins say about themselves in their source.

Owns where to look for a docstring. Imports nothing of a plugin: texts under an assignment exist
in the source alone, and a plugin in its own process is not imported here.
"""

import ast
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flyte_host.plugins.annotations import without_partials

MOST_FILES = 200
"""A package with more files is not a pack's, and is not read."""


def docstring_of(function: Callable[..., Any]) -> str:
    """The docstring of a handler or a check; of an object that is called, that of its method."""
    function = without_partials(function)
    if not inspect.isroutine(function):
        function = type(function).__call__
    return inspect.cleandoc(function.__doc__ or "")


@dataclass(frozen=True, slots=True)
class Docstrings:
    """The texts of one package: of classes, of their fields, and of events."""

    classes: dict[str, str] = field(default_factory=dict)
    fields: dict[tuple[str, str], str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)


def read_docstrings(target: str) -> Docstrings:
    """Those of the package or module that an entry point's ``module:name`` begins with."""
    found = Docstrings()
    for path in _files(target.partition(":")[0].partition(".")[0]):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef):
                _read_body(node, found)
    return found


def _files(package: str) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    folders = list(spec.submodule_search_locations or ())
    if not folders and spec.origin is not None:
        yield Path(spec.origin)
    for folder in folders:
        yield from sorted(Path(folder).rglob("*.py"))[:MOST_FILES]


def _read_body(node: ast.Module | ast.ClassDef, found: Docstrings) -> None:
    if isinstance(node, ast.ClassDef):
        found.classes.setdefault(node.name, ast.get_docstring(node) or "")
    for one, after in zip(node.body, node.body[1:], strict=False):
        match one, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ) if isinstance(node, ast.ClassDef):
                found.fields.setdefault((node.name, name), inspect.cleandoc(text))
            case (
                ast.Assign(value=ast.Call(args=[ast.Constant(value=str() as event), *_])),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                found.events.setdefault(event, inspect.cleandoc(text))
