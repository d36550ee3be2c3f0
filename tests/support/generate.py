"""The parts of the documentation that the code knows best: ``python tests/support/generate.py``.

A page has a part between ``<!-- generated: NAME -->`` and ``<!-- end -->``; GENERATORS says what
is there. Running this file rewrites every page, ``test_generated.py`` asserts that nothing
would change.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click

import flyte_host
import flyte_host.testing
from flyte_host import hookspecs, model
from flyte_host.cli import main as command_line_group
from flyte_host.config import ENVIRONMENT
from flyte_host.config.parser import keys_of
from flyte_host.config.schema import TABLES
from flyte_host.counters import BOUNDS_SECONDS
from flyte_host.embedded.finding import CODES
from flyte_host.health.metrics import METRICS, PREFIX
from flyte_host.testing import plugin
from tests.support.commands import commands_of

ROOT = Path(__file__).parents[2]
QUOTES = "'\""
LEVELS = ("critical", "error", "warning", "info", "debug")
LOGGER = re.compile(r"\b(?:log|_logger)\.")
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def configuration() -> str:
    return "\n".join(_section(name, table) for name, table in TABLES.items())


def environment() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in ENVIRONMENT.items()]
    return "\n".join(["| variable | takes the place of |", "|---|---|", *rows, ""])


def _section(name: str, table: type) -> str:
    rows = [
        f"| `{key.name}` | {key.words} | {_toml(key.default)} | {key.meaning} |"
        for key in keys_of(table).values()
    ]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### `[{name}]`", "", str(table.__doc__).strip(), "", *head, *rows, ""])


def finding_codes() -> str:
    """What each finding of ``flows check`` means."""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(["| code | what was found |", "|---|---|", *rows, ""])


def _toml(value: Any) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{value:g}`"
        case None | "":
            return "not set"
        case str() | Path():
            return f'`"{value}"`'
        case Mapping():
            return "`{}`"
        case _:
            return "`[]`"


def command_line() -> str:
    settings: Any = {"terminal_width": 80, **command_line_group.context_settings}
    whole = click.Context(command_line_group, info_name="flyte-host", **settings)
    return "\n".join([f"```text\n{whole.get_help()}\n```\n", *_commands(whole, settings)])


def _commands(parent: click.Context, settings: Any) -> Iterator[str]:
    """The commands of a group, and those of the groups among them."""
    group: Any = parent.command
    for name, command in commands_of(group):
        context = click.Context(command, parent, info_name=name, **settings)
        yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
        if isinstance(command, click.Group):
            yield from _commands(context, settings)


def hooks() -> str:
    functions = [
        node for node in _tree(hookspecs).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("flyte_")
    ]  # fmt: skip
    emit = [
        "## `Emit`",
        f"```python\n{_assigned(hookspecs, 'Emit')}\n```",
        _said_of(hookspecs, "Emit"),
    ]
    return "\n".join([*(_entry(each, "## ") for each in functions), "\n\n".join(emit), ""])


def python_api() -> str:
    return "\n".join(_name(each) for each in sorted(flyte_host.__all__, key=str.lower))


def fixtures() -> str:
    made = [
        node for node in _tree(plugin).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    ]  # fmt: skip
    parts = [f"### `{each.name}`\n\n{_prose(ast.get_docstring(each))}\n" for each in made]
    return "\n".join([*parts, *(_of_kit(each) for each in sorted(flyte_host.testing.__all__))])


def _of_kit(name: str) -> str:
    value = getattr(flyte_host.testing, name)
    node = _node(sys.modules[value.__module__], name)
    return _class(node, "### ") if inspect.isclass(value) else _entry(node, "### ")


@cache
def log_messages() -> str:
    found = {message for module in modules() for message in _logged(module)}
    ordered = sorted(found, key=lambda each: (LEVELS.index(each[0]), each[1].lower()))
    rows = [f"| {level} | `{text}` |" for level, text in ordered]
    return "\n".join(["| level | message |", "|---|---|", *rows, ""])


def metrics() -> str:
    rows = [
        f"| `{PREFIX}{each.name}` | {each.kind} | {', '.join(f'`{name}`' for name in each.labels)} "
        f"| {each.meaning} |"
        for each in METRICS
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])


def metric_buckets() -> str:
    return ", ".join(f"{bound:g}" for bound in BOUNDS_SECONDS) + "\n"


def modules() -> Iterator[ModuleType]:
    """Every module of the package but those that run when they are imported."""
    for found in pkgutil.walk_packages(flyte_host.__path__, "flyte_host."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def _logged(module: ModuleType) -> Iterator[tuple[str, str]]:
    source = inspect.getsource(module)
    if not LOGGER.search(source):
        return  # most modules log nothing, and parsing takes long
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(ast.Attribute(ast.Name("log" | "_logger"), method), [*arguments]):
                yield from _messages(module, method, arguments)


def _messages(
    module: ModuleType, method: str, arguments: list[ast.expr]
) -> Iterator[tuple[str, str]]:
    levels = {"exception": ("error",), "log": ("info", "warning")}.get(method, (method,))
    first = arguments[1 if method == "log" else 0]
    text = first.value if isinstance(first, ast.Constant) else getattr(module, ast.unparse(first))
    words = re.sub(r"%[^a-zA-Z]*[a-zA-Z]", "…", str(text))
    return ((level, words) for level in levels)


def _name(name: str) -> str:
    value = getattr(flyte_host, name)
    if inspect.isclass(value):
        return _class(_node(importlib.import_module(value.__module__), name), "### ")
    if inspect.isfunction(value):
        return _entry(_node(importlib.import_module(value.__module__), name), "### ")
    if name != "hookimpl":
        module = hookspecs if name == "Emit" else model
        code = f"```python\n{_assigned(module, name)}\n```"
        return f"### `{name}`\n\n{code}\n\n{_said_of(module, name)}\n"
    return f"### `{name}`\n\nThe decorator that marks a method or function as a [hook](hooks.md).\n"


def _class(node: Any, heading: str) -> str:
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    methods = [
        each for each in node.body
        if isinstance(each, ast.FunctionDef) and (each.name[0] != "_" or each.name == "__call__")
    ]  # fmt: skip
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    words = [ast.unparse(each) for each in fields] or ([] if methods else ["..."])
    lines = [f"class {node.name}{bases}:", *(f"    {each}" for each in words)]
    lines += [f"    {line}" for each in methods for line in _signature(each)]
    said = _prose(ast.get_docstring(node))
    notes = [
        f"* `{each.name}`: {' '.join(_prose(text).split())}" for each in methods
        if (text := ast.get_docstring(each))
    ]  # fmt: skip
    code = "\n".join(lines)
    parts = [f"{heading}`{node.name}`", f"```python\n{code}\n```", said, "\n".join(notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _entry(node: Any, heading: str) -> str:
    code = "\n".join(_signature(node))
    said = _prose(ast.get_docstring(node))
    return f"{heading}`{node.name}`\n\n```python\n{code}\n```\n\n{said}\n"


def _signature(node: ast.FunctionDef) -> list[str]:
    kept = [ast.unparse(each) for each in node.decorator_list]
    lines = [f"@{each}" for each in kept if each == "property"]
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns).strip(QUOTES)}"
    return [*lines, f"def {node.name}({ast.unparse(node.args)}){returns}: ..."]


def _prose(text: str | None) -> str:
    """A docstring as Markdown."""
    text = re.sub(r":(?:\w+):`~?([^`]*)`", r"`\1`", text or "")
    return textwrap.dedent(text.replace("``", "`")).strip()


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _node(module: ModuleType, name: str) -> Any:
    return next(each for each in _tree(module).body if getattr(each, "name", "") == name)


def _assigned(module: ModuleType, name: str) -> str:
    return ast.unparse(_tree(module).body[_place(module, name)])


def _said_of(module: ModuleType, name: str) -> str:
    """The text under an assignment."""
    said: Any = _tree(module).body[_place(module, name) + 1]
    return _prose(inspect.cleandoc(said.value.value))


def _place(module: ModuleType, name: str) -> int:
    starts = [ast.unparse(each).startswith(f"{name} = ") for each in _tree(module).body]
    return starts.index(True)


GENERATORS: dict[str, Callable[[], str]] = {
    "configuration": configuration,
    "environment": environment,
    "finding-codes": finding_codes,
    "command-line": command_line,
    "hooks": hooks,
    "python-api": python_api,
    "fixtures": fixtures,
    "log-messages": log_messages,
    "metrics": metrics,
    "metric-buckets": metric_buckets,
}


def generated(page: str) -> str:
    """A page with all its generated parts as the code wants them now."""
    return PART.sub(lambda part: f"{part[1]}\n{GENERATORS[part[2]]()}\n{part[3]}", page)


def pages(root: Path) -> Iterator[Path]:
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def main(root: Path) -> None:
    for path in pages(root):
        page = path.read_text(encoding="utf-8")
        if page != generated(page):
            path.write_text(generated(page), encoding="utf-8")


if __name__ == "__main__":
    main(ROOT)
