"""The rules of the house that no linter knows: names, where they live, and plain English."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.english import translated_phrases

pytestmark = pytest.mark.xdist_group("house")

ROOT = Path(__file__).parents[1]
CODE = ("flyte_host", "plugins", "tests")
LISTS_OF_PHRASES = ("tests/support/english.py", "tests/docs/test_english.py")

MODULES_NAMED_OTHERWISE = {
    "flyte_host/cli/journal.py": "a command's module has the command's name",
    "flyte_host/embedded/auth/policy_file.py": "reads policies; the class is their error",
    "flyte_host/embedded/codec.py": "encodes and decodes; the class is its error",
    "flyte_host/embedded/flow_reader.py": "reads flows; the class is their error",
    "flyte_host/health/pages.py": "the pages are its subject, the app serves them",
    "flyte_host/health/status_page.py": "the page is its subject, a row of it the class",
    "flyte_host/health/prometheus.py": "beside metrics, which says what is measured: the format",
    "flyte_host/host/shutdown.py": "beside the request it ends the process",
    "flyte_host/json_decoding.py": "decodes; the class is its error",
    "flyte_host/pipeline/journal/schema.py": "the schema is text; the class is its error",
    "flyte_host/plugins/discovery.py": "finding plugins is its subject, InstalledPlugin its result",
    "flyte_host/plugins/settings.py": "makes plugins of settings; the class is an error",
}
"""Modules with one public class that are not named by it, and why."""

LITERAL_OR_COMMENT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"'''
    r"""|'''(?:\\.|[^\\])*?'''|'(?:\\.|[^'\\\n])*'|#[^\n]*""",
    re.DOTALL,
)
"""Which of the two it is shows in how it begins; a tokenizer takes ten times as long."""


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def files(*parts: str, suffix: str) -> Iterator[str]:
    """Paths below ``parts``, without those of other projects that lie in build folders."""
    for part in parts:
        for path in sorted((ROOT / part).rglob(f"*{suffix}")):
            yield path.relative_to(ROOT).as_posix()


class Code(NamedTuple):
    """What the rules look at in a module."""

    classes: list[str]
    texts: list[tuple[int, str]]


@cache
def code(path: str) -> Code:
    source = read(path)
    tree = ast.parse(source)
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return Code(names, [*texts(tree), *comments(source)])


def public_classes(path: str) -> list[str]:
    return [name for name in code(path).classes if not name.startswith("_")]


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_named_by(path: str, name: str) -> bool:
    """Whether the module is called like the class, or like its last noun, be it the plural."""
    whole = snake_case(name)
    nouns = {whole, whole.rpartition("_")[2]}
    return Path(path).stem in nouns | {f"{noun}s" for noun in nouns}


@cache
def modules_with_one_class() -> dict[str, str]:
    found = {path: public_classes(path) for path in files("flyte_host", suffix=".py")}
    return {
        path: names[0]
        for path, names in found.items()
        if len(names) == 1 and Path(path).stem != "__init__"
    }


def homes_of_classes() -> dict[str, list[str]]:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in files(*CODE, suffix=".py"):
        for name in code(path).classes:
            homes[name].append(path)
    return homes


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings, names of tests, and other texts, which may be the middle of a sentence."""
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(node.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = re.sub(r"``[^`]*``", "``…``", " ".join(node.value.split()))
            yield node.lineno, text if node in docstrings else f"…{text}"


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Those on adjacent lines as one."""
    found: list[tuple[int, str]] = []
    line, place = 1, 0
    for part in LITERAL_OR_COMMENT.finditer(source):
        if part[0].startswith("#"):
            line, place = line + source.count("\n", place, part.start()), part.start()
            text = part[0].lstrip("# ")
            if found and found[-1][0] + found[-1][1].count("\n") + 1 == line:
                found[-1] = (found[-1][0], f"{found[-1][1]}\n{text}")
            else:
                found.append((line, text))
    yield from ((line, " ".join(text.split())) for line, text in found)


def test_a_class_name_stands_for_one_thing() -> None:
    twice = {name: homes for name, homes in homes_of_classes().items() if len(homes) > 1}
    assert twice == {}


def test_a_module_is_named_by_its_class() -> None:
    otherwise = {
        path: name
        for path, name in modules_with_one_class().items()
        if not is_named_by(path, name) and path not in MODULES_NAMED_OTHERWISE
    }
    assert otherwise == {}


def test_the_test_of_a_module_is_where_the_module_is() -> None:
    """Unless no module of that part has the name: then it is named by what is tested."""
    homes: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for module in map(Path, files("flyte_host", suffix=".py")):
        homes[module.parts[1], module.stem].add(Path("tests", *module.parent.parts[1:]))
    tests = (Path(each) for each in files("tests", suffix=".py") if "/test_" in each)
    elsewhere = {
        str(test): str(*home)
        for test in tests
        if len(home := homes[test.parts[1], test.stem.removeprefix("test_")]) == 1
        and test.parent not in home
    }
    assert elsewhere == {}


@pytest.mark.parametrize("path", MODULES_NAMED_OTHERWISE)
def test_an_exception_from_the_module_names_is_needed(path: str) -> None:
    assert MODULES_NAMED_OTHERWISE[path]
    assert not is_named_by(path, modules_with_one_class()[path])


@pytest.mark.parametrize("part", CODE)
def test_the_english_of_the_code_is_plain(part: str) -> None:
    found = [
        f"{path}:{number}: {phrase}"
        for path in files(part, suffix=".py")
        if path not in LISTS_OF_PHRASES
        for number, text in code(path).texts
        for phrase in translated_phrases(text)
    ]
    assert not found, "\n".join(found)


def test_comments_are_told_from_literals() -> None:
    lines = (
        "# One,",
        "# continued",
        "",
        r"""a = "# no \" # no", '# no'  # two""",
        '"""# no',
        '"# no" """  # three',
        "",
        r"b = '\\'  # four'",
    )
    found = [(1, "One, continued"), (4, "two"), (6, "three"), (8, "four'")]
    assert list(comments("\n".join(lines))) == found
