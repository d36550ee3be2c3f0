"""The rules of the house that no linter knows: names, where they live, and plain English."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("flyte_host", "plugins", "tests")
BLOCKS = re.MULTILINE | re.DOTALL

NAMES_NOT_DONE = (
    "flyte_host/client", "flyte_host/cli/flow", "flyte_host/cli/flyte", "flyte_host/embedded",
    "flyte_host/health", "flyte_host/host/embedded_server", "flyte_host/host/host",
    "flyte_host/pipeline", "plugins", "tests/benchmarks", "tests/client", "tests/contract",
    "tests/embedded", "tests/faults", "tests/health", "tests/host", "tests/pipeline",
    "tests/support",
)  # fmt: skip
"""Prefixes of paths in which class names have not been made unique yet; to become empty."""

ENGLISH_NOT_DONE = (
    "README.md", "docs", "flyte_host/client", "flyte_host/cli/flow", "flyte_host/cli/flyte",
    "flyte_host/control", "flyte_host/embedded", "flyte_host/health",
    "flyte_host/host/embedded_server", "flyte_host/host/host", "flyte_host/host/web_server",
    "flyte_host/pipeline", "plugins", "tests/benchmarks", "tests/cli/test_fly",
    "tests/cli/test_flows", "tests/client", "tests/conftest", "tests/contract", "tests/control",
    "tests/docs", "tests/embedded", "tests/faults", "tests/health", "tests/host", "tests/pipeline",
    "tests/support", "tests/testing",
)  # fmt: skip
"""Prefixes of paths whose English has not been gone through yet; to become empty."""

MODULES_NAMED_OTHERWISE = {
    "flyte_host/cli/journal.py": "a command's module has the command's name",
    "flyte_host/host/shutdown.py": "beside the request it ends the process",
    "flyte_host/plugins/discovery.py": "finding plugins is its subject, InstalledPlugin its result",
}
"""Modules with one public class that are not named by it, and why."""

PATTERNS = {
    "write 'is not valid JSON', 'is not a URL', …":
        r"\b(is|are) no (JSON|TOML|YAML|UTF-8|URL|HTTP|number|text|word|message|object|list|event|"
        r"Event|file|flow|pack|hook|name|plugin|reference)\b",
    "write a number, or 'while'": r"\b(at most|for|within) so long\b|\bso (long|many) (from|as)\b|"
        r"\bSo (long|many) \w+ (after|within|of|may)\b",
    "write 'timeout'": r"\btime-outs?\b",
    "write 'no longer', or nothing": r"\bany more\b(?! than)|\bany longer\b(?! \w)",
    "write 'again'": r"\banew\b",
    "write 'forever', or 'has no limit'": r"\bfor ever\b",
    "write 'from the start'": r"\bfrom (its|their) making( on)?\b",
    "begin with another word than flyte": r"\bFlyte\b(?=[ ,.])(?<![`.])|(?:^|[.!?] )flyte (?=\w)",
    "name the subject: 'a caller that …'":
        r"(?:^|[.;,:(] |\bthat |\bof |\bto |\band )who(ever)? (?!is\b|may\b|can\b|has\b|does\b|"
        r"owns\b|made\b|sent\b|adds\b|knows\b)\w+s\b",
    "write 'nothing caught …' as 'uncaught'": r"\bnobody (caught|could catch)\b",
    "write 'internal error'": r"\bthis is a bug of\b",
    "write 'the others'": r"\bthose others\b",
}  # fmt: skip
"""What reads translated, and what to write instead."""


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def files(*parts: str, suffix: str) -> Iterator[str]:
    """Paths below ``parts``, without those of other projects that lie in build folders."""
    for part in parts:
        for path in sorted((ROOT / part).rglob(f"*{suffix}")):
            yield path.relative_to(ROOT).as_posix()


def classes(path: str) -> list[str]:
    return [node.name for node in ast.parse(read(path)).body if isinstance(node, ast.ClassDef)]


def public_classes(path: str) -> list[str]:
    return [name for name in classes(path) if not name.startswith("_")]


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_named_by(path: str, name: str) -> bool:
    """Whether the module is called like the class, or like its last noun, be it the plural."""
    whole = snake_case(name)
    nouns = {whole, whole.rpartition("_")[2]}
    return Path(path).stem in nouns | {f"{noun}s" for noun in nouns}


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
        for name in classes(path):
            homes[name].append(path)
    return homes


def prose(path: str) -> Iterator[tuple[int, str]]:
    """What a person reads in a file: each docstring, comment, text or paragraph, with its line."""
    yield from paragraphs(read(path)) if path.endswith(".md") else texts(read(path))


def paragraphs(page: str) -> Iterator[tuple[int, str]]:
    """Those of a page, without its examples."""
    page = re.sub(r"^```.*?^```", lambda found: "\n" * found[0].count("\n"), page, flags=BLOCKS)
    for found in re.finditer(r"(?:^.*\S.*\n?)+", page, re.MULTILINE):
        text = re.sub(r"`[^`]*`", "`…`", found[0]).lstrip("#-*>| ")
        yield page.count("\n", 0, found.start()) + 1, " ".join(text.split())


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, other texts (which may be the middle of a sentence) and comments."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                docstrings.add(child.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = re.sub(r"``[^`]*``", "``…``", " ".join(node.value.split()))
            yield node.lineno, text if node in docstrings else f"…{text}"
    yield from comments(source)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Those on adjacent lines as one."""
    found: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text, line = token.string.lstrip("# "), token.start[0]
            if found and found[-1][0] + found[-1][1].count("\n") + 1 == line:
                found[-1] = (found[-1][0], f"{found[-1][1]}\n{text}")
            else:
                found.append((line, text))
    yield from ((line, " ".join(text.split())) for line, text in found)


def test_a_class_name_stands_for_one_thing() -> None:
    twice = {
        name: homes
        for name, homes in homes_of_classes().items()
        if len(homes) > 1 and not any(home.startswith(NAMES_NOT_DONE) for home in homes)
    }
    assert twice == {}


def test_a_module_is_named_by_its_class() -> None:
    otherwise = {
        path: name
        for path, name in modules_with_one_class().items()
        if not is_named_by(path, name)
        and path not in MODULES_NAMED_OTHERWISE
        and not path.startswith(NAMES_NOT_DONE)
    }
    assert otherwise == {}


@pytest.mark.parametrize("path", MODULES_NAMED_OTHERWISE)
def test_an_exception_from_the_module_names_is_needed(path: str) -> None:
    assert MODULES_NAMED_OTHERWISE[path]
    assert not is_named_by(path, modules_with_one_class()[path])


@pytest.mark.parametrize("prefix", sorted({*NAMES_NOT_DONE, *ENGLISH_NOT_DONE}))
def test_a_part_that_is_not_done_exists(prefix: str) -> None:
    assert list(ROOT.glob(f"{prefix}*"))


@pytest.mark.parametrize(("advice", "pattern"), PATTERNS.items(), ids=PATTERNS)
def test_the_english_is_plain(advice: str, pattern: str) -> None:
    this = Path(__file__).relative_to(ROOT).as_posix()
    pages = [*files("docs", "plugins", suffix=".md"), "README.md"]
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in (*files(*CODE, suffix=".py"), *pages)
        if path != this and not path.startswith(ENGLISH_NOT_DONE)
        for number, line in prose(path)
        if re.search(pattern, line)
    ]
    assert not found, f"{advice}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("the payload is no JSON", "write 'is not valid JSON', 'is not a URL', …"),
        ("Calls it for at most so long", "write a number, or 'while'"),
        ("a handler past its time-out", "write 'timeout'"),
        ("nobody reads it any more", "write 'no longer', or nothing"),
        ("a file is read anew", "write 'again'"),
        ("it waits for ever", "write 'forever', or 'has no limit'"),
        ("Runs from its making on", "write 'from the start'"),
        ("Flyte gives it out", "begin with another word than flyte"),
        ("It is sent. flyte keeps it", "begin with another word than flyte"),
        ("who listens to the log may be a plugin", "name the subject: 'a caller that …'"),
        ("nobody caught what it raised", "write 'nothing caught …' as 'uncaught'"),
    ],
)
def test_the_patterns_find_what_they_are_for(text: str, advice: str) -> None:
    assert re.search(PATTERNS[advice], text)


@pytest.mark.parametrize(
    "text", ["there is no path to it", "no more than that", "flyte-host serves it", "who owns it"]
)
def test_the_patterns_leave_good_english_alone(text: str) -> None:
    assert [advice for advice, pattern in PATTERNS.items() if re.search(pattern, text)] == []
