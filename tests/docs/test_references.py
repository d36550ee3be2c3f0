"""Everything that the pages refer to exists: links, hooks, fixtures, keys, options, messages."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from flyte_host import hookspecs
from flyte_host.cli import main
from flyte_host.cli.ctl import HEADS
from flyte_host.cli.table import table_lines
from flyte_host.config.parser import keys_of
from flyte_host.config.schema import TABLES
from flyte_host.health.metrics import METRICS
from flyte_host.health.metrics import PREFIX as METRIC_PREFIX
from flyte_host.testing import plugin
from tests.support.blocks import FENCE, PAGES, ROOT, Block, all_blocks, prose_of, read
from tests.support.commands import commands_of
from tests.support.generate import GENERATORS, modules

pytestmark = pytest.mark.xdist_group("sources")

LINK = re.compile(r"(?<!!)\[[^\]\n]+(?:\n[^\]\n]+)?\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
MODULES = {"flyte_host", "flyte_pack_greeter", "flyte_pack_disk", "flyte_pack_orders",
           "flyte_pack_pager"}  # fmt: skip
OTHERS_OPTIONS = {"--init", "--read-only", "--stop-timeout", "--editable", "--no-deps"}
HOSTS = ("https://github.com/", "https://keepachangelog.com/", "https://semver.org/",
         "https://toml.io")  # fmt: skip
EXTRAS = {"curl", "embedded", "metrics"}


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    page = FENCE.sub("", read(path))
    return {slug(each) for each in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(FENCE.sub("", read(path)))
    assert [each for each in targets if not leads(path, each)] == []


def leads(page: Path, target: str) -> bool:
    if target.startswith("http"):
        return target.startswith(HOSTS)
    file, _, anchor = target.partition("#")
    found = (page.parent / file).resolve() if file else page
    if not found.exists() or ROOT not in found.parents:
        return False
    return not anchor or anchor in anchors(found)


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    targets = [each.partition("#")[0] for each in LINK.findall(read(index))]
    linked = {(index.parent / each).resolve() for each in targets}
    pages = {each for each in (ROOT / "docs").rglob("*.md") if each != index}
    assert pages - linked == set()


def hooks() -> set[str]:
    return {name for name in vars(hookspecs) if name.startswith("flyte_")}


def fixtures() -> set[str]:
    tree = ast.parse(read(Path(plugin.__file__)))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_names_that_begin_with_flyte_exist(path: Path) -> None:
    code = "\n".join(CODE.findall(prose_of(path))) + "".join(
        match["text"] for match in FENCE.finditer(read(path)) if (match["info"] or "")[:4] != "text"
    )
    named = set(re.findall(r"(?<![\w./-])flyte_[a-z_]+", code))
    made_up = {"flyte_shell_version"}  # the module of an example
    assert named - hooks() - fixtures() - MODULES - made_up - embedded_words() - metrics() == set()


def metrics() -> set[str]:
    names = {METRIC_PREFIX + each.name for each in METRICS}
    return names | {f"{name}_bucket" for name in names}


@cache
def embedded_words() -> set[str]:
    """Names of modules, which pages mention in places such as ``flyte_host.packs``."""
    return {"flyte_host"} | {each.__name__.rpartition(".")[2] for each in modules()}


def test_hooks_and_fixtures_are_documented() -> None:
    page = read(ROOT / "docs" / "reference" / "hooks.md")
    assert [each for each in hooks() if f"## `{each}`" not in page] == []
    api = read(ROOT / "docs" / "reference" / "python-api.md")
    how_to = read(ROOT / "docs" / "how-to" / "test-a-pack.md")
    for each in fixtures():
        assert f"### `{each}`" in api
        assert f"| `{each}` |" in how_to


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sections_and_keys_exist(path: Path) -> None:
    prose = prose_of(path)
    for section, key in re.findall(r"(?<![`\w\]])\[([a-z.]+)\] `(\w+)`", prose):
        assert key in keys_of(TABLES[section]), f"[{section}] {key}"
    sections = set(re.findall(r"`\[([a-z]+(?:\.[A-Za-z…]+)*)\]`", prose))
    known = {*TABLES, "packs.…", "packs.NAME.settings"}
    assert sections - EXTRAS <= known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_options_exist(path: Path) -> None:
    code = " ".join(CODE.findall(prose_of(path)))
    named = set(re.findall(r"(?<![\w-])--[a-z-]+", code))
    assert named - options() - OTHERS_OPTIONS == set()


@cache
def options() -> set[str]:
    return {"--help", *options_of(main)}


def options_of(command: click.Command) -> Iterator[str]:
    for each in command.params:
        yield from each.opts
    if isinstance(command, click.Group):
        for _, inner in commands_of(command):
            yield from options_of(inner)


# Messages --------------------------------------------------------------------------------------

MESSAGE_PAGES = {"find-out-why.md", "log-lines.md", "health-pages.md", "guarantees.md",
                 "secrets-and-tls.md", "several-packs-from-one-plugin.md",
                 "extend-a-pack-you-do-not-own.md", "pause-and-drain.md"}  # fmt: skip
PREFIX = re.compile(r"^(?:flyte-host: |\d\d:\d\d:\d\d [A-Z]+ +\S+ +|(?:INFO|WARNING|ERROR) +)")
SUFFIX = re.compile(r"  \[[^]]*\]$")
HOLES = re.compile(r"(%[-#0-9. ]*[a-zA-Z]|\{[^{}]*\})")


HINT = re.compile(r' \(did you mean "[^"]*"\?\)')


@cache
def said() -> frozenset[str]:
    """Every text of the host that is long enough to be a message."""
    texts = {text for module in modules() for text in texts_of(ast.parse(read_module(module)))}
    return frozenset(each for each in texts if "→" in each or len(_fixed(each)) >= 6)


@cache
def templates() -> list[tuple[int, re.Pattern[str]]]:
    """The texts with holes as patterns, with the length of their fixed parts."""
    return [_template(each) for each in said() if HOLES.search(each)]


def read_module(module: object) -> str:
    return read(Path(str(getattr(module, "__file__", ""))))


def texts_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _fixed(text: str) -> str:
    return HOLES.sub("", text).strip()


def _template(text: str) -> tuple[int, re.Pattern[str]]:
    parts = HOLES.split(text)
    pattern = "".join(".*" if HOLES.fullmatch(each) else re.escape(each) for each in parts)
    return len(_fixed(text)), re.compile(pattern)


def is_said(message: str) -> bool:
    """Whether the host has such a text, possibly after a place and a colon."""
    message = HINT.sub("", message)
    if message in said():
        return True
    for fixed, pattern in templates():
        if fixed >= min(6, len(message) / 2) and pattern.fullmatch(message):
            return True
        if "→" in pattern.pattern and pattern.fullmatch(message):
            return True
    _, colon, rest = message.partition(": ")
    return bool(colon) and is_said(rest)


def quoted_lines() -> list[tuple[Block, str]]:
    blocks = [each for each in all_blocks("text") if each.path.name in MESSAGE_PAGES]
    return [(each, line) for each in blocks for line in shown_lines(each) if line]


def shown_lines(block: Block) -> list[str]:
    is_message = not block.text.startswith(("Usage:", "PACK "))
    return block.text.splitlines() if is_message else []


def test_the_table_of_ctl_status_is_the_one_that_is_printed() -> None:
    [block] = [each for each in all_blocks("text") if each.text.startswith("PACK ")]
    rows = [tuple(re.split(" {2,}", line)) for line in block.text.splitlines()]
    assert block.text.splitlines() == list(table_lines(HEADS, rows[1:]))


@pytest.mark.parametrize(("block", "line"), quoted_lines(), ids=str)
def test_messages_are_those_of_the_host(block: Block, line: str) -> None:
    message = SUFFIX.sub("", PREFIX.sub("", line))
    assert is_said(message), f"{block}: nothing in the code says {message!r}"


def test_payloads_of_fatals_are_those_of_the_host() -> None:
    page = read(ROOT / "docs" / "explanation" / "guarantees.md")
    table = page.split("| what happened | the payload |")[1].split("\n\n")[0]
    shown = [row.rsplit("| `", 1)[1].removesuffix("` |") for row in table.splitlines()[2:]]
    assert len(shown) == 11
    assert [each for each in shown if not is_said(each)] == []


def test_made_up_messages_are_found() -> None:
    assert not is_said("the moon is full: no pack is awake")
    assert is_said("raised Tick")


def test_the_generators_know_messages_and_hooks() -> None:
    assert "`raised …`" in GENERATORS["log-messages"]()
    assert "## `flyte_pack`" in GENERATORS["hooks"]()
