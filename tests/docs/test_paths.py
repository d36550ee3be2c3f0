"""Every file, module and name that a page or a docstring mentions exists."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.blocks import GENERATED, PAGES, ROOT, read

pytestmark = pytest.mark.xdist_group("sources")

READERS = [*PAGES, *sorted(ROOT.glob("plugins/*/README.md"))]
SOURCES = sorted((ROOT / "flyte_host").rglob("*.py"))
FILE = re.compile(r"(?<![\w./])(?:flyte_host|tests|plugins|docs)/[\w./*-]*\w/?")
MODULE = re.compile(r"(?<![\w./])flyte_host(?:\.[A-Za-z_]\w*)+")
WORD = re.compile(r"``([a-z_]+)``")
OTHER_WORDS = {"flyte_", "flyte_observe", "stringformat", "user_version"}
"""What module docstrings name besides modules: hooks, prefixes, filters, pragmas."""
ROLE = re.compile(r":(?:class|func|meth|data|attr|mod):`~?([\w.]+)`")


def missing(text: str) -> list[str]:
    """The files and modules that the text mentions and that do not exist."""
    return [
        *(each for each in FILE.findall(text) if not any(ROOT.glob(each.rstrip("/")))),
        *(each for each in MODULE.findall(text) if not is_name(each)),
    ]


def is_name(dotted: str) -> bool:
    """Whether the dotted name is a module or a name in one."""
    module, _, name = dotted.rpartition(".")
    if file_of(dotted) is not None:
        return True
    return file_of(module) is not None and hasattr(importlib.import_module(module), name)


def file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = [base.with_suffix(".py"), base / "__init__.py"]
    return next((each for each in candidates if each.is_file()), None)


class Source(NamedTuple):
    """What the rules look at in a module."""

    docstring: str
    texts: list[str]
    """The docstrings of modules, classes and functions, and the texts under assignments."""
    defined: set[str]
    words: set[str]
    """The names that it uses, and the words in its strings."""


@cache
def source(path: Path) -> Source:
    return look_into(ast.parse(read(path)))


def look_into(tree: ast.Module) -> Source:
    docstring = ast.get_docstring(tree, clean=False) or ""
    found = Source(docstring, [], set(), set())
    for node in ast.walk(tree):
        match node:
            case ast.Name(name, context) | ast.Attribute(_, name, context):
                found.words.add(name)
                if isinstance(context, ast.Store):
                    found.defined.add(name)
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                found.words.add(name)
                found.defined.add(name)
            case ast.ClassDef(name):
                found.defined.add(name)
            case ast.arg(name):
                found.words.add(name)
            case ast.Expr(ast.Constant(str(text))):
                found.texts.append(text)
            case ast.Constant(str(text)) if text != docstring:
                found.words.update(re.findall(r"\w+", text))
    return found


@cache
def defined_names() -> frozenset[str]:
    """Everything that the sources define, and the names of their modules."""
    names = (source(path).defined for path in SOURCES)
    return frozenset().union((path.stem for path in SOURCES), *names)


@pytest.mark.parametrize("path", READERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_existing_files(path: Path) -> None:
    assert missing(GENERATED.sub("", read(path))) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_names_existing_files(path: Path) -> None:
    for text in source(path).texts:
        assert missing(text) == []
        roles = {each.rpartition(".")[2] for each in ROLE.findall(text)}
        assert roles - defined_names() == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_docstring_names_existing_modules(path: Path) -> None:
    named = set(WORD.findall(source(path).docstring))
    assert named - module_names() - source(path).words - OTHER_WORDS == set()


@cache
def module_names() -> set[str]:
    folders = {each.parent.name for each in SOURCES}
    return {each.stem for each in SOURCES} | folders


def test_missing_files_and_names_are_found() -> None:
    assert missing("see `flyte_host/no_such_file.py` and flyte_host.no_such_module") == [
        "flyte_host/no_such_file.py",
        "flyte_host.no_such_module",
    ]
    assert missing("flyte_host/packs.py, flyte_host.errors.ConfigError, tests/docs/") == []
    assert missing("tests/docs/test_*.py") == []
    assert "NoSuchClass" not in defined_names()
    tree = ast.parse('"""That is ``template_lexer``, not ``reader``."""\nreader = "a word"\n')
    assert look_into(tree).words == {"reader", "a", "word"}
