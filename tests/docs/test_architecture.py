"""What the explanations say of the code's layers, numbers and dependencies is so."""

import ast
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from flyte_host import checks, courier, health, journal, outage, plugins, poller, schedule
from flyte_host.client import TAKE_SECONDS
from tests.docs.blocks import ROOT, read
from tests.docs.generate import modules

PAGE = ROOT / "docs" / "explanation" / "architecture.md"
ASIDE = ("flyte_host.embedded", "flyte_host.testing")


def rows() -> list[list[str]]:
    table = read(PAGE).split("| layer | owns |")[1].split("\n\n")[0]
    return [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]


def named() -> dict[str, ModuleType]:
    """The host's modules by the last part of their names."""
    return {
        each.__name__.rpartition(".")[2]: each
        for each in modules()
        if not each.__name__.startswith(ASIDE)
    }


def imported_by(module: ModuleType) -> set[str]:
    """Last parts of what a module imports of the host, but for types alone."""
    found = set()
    for node in ast.walk(ast.parse(read_source(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flyte_host"):
            found.add(str(node.module).rpartition(".")[2])
            found.update(each.name for each in node.names)
    return found


def read_source(module: ModuleType) -> str:
    return read(Path(str(module.__file__)))


def test_a_layer_imports_none_above_or_beside_it() -> None:
    layers = rows()
    assert len(layers) >= 10
    known = named()
    for number, layer in enumerate(layers):
        not_below = {name for above in layers[: number + 1] for name in above}
        for name in layer:
            assert imported_by(known[name]) & (not_below - {name}) == set(), name


CAP_SECONDS = inspect.signature(outage.Outage).parameters["cap_seconds"].default
NUMBERS = [
    ("explanation/architecture.md", f"at most {poller.THREADS}, for all packs"),
    ("explanation/architecture.md", f"{courier.THREADS}, for all packs"),
    ("explanation/architecture.md", " and ".join(
        [", ".join(f"{each:g}" for each in schedule.LADDER_SECONDS[:-1]),
         f"{schedule.LADDER_SECONDS[-1]:g} seconds"])),
    ("explanation/architecture.md", f"{schedule.EXTRA_POLLS_PER_SECOND:g} extra polls a\nsecond"),
    ("explanation/architecture.md", f"up to {CAP_SECONDS:g} seconds, with full jitter"),
    ("explanation/guarantees.md", f"at\nleast {TAKE_SECONDS:g} seconds"),
    ("explanation/guarantees.md", f"after {courier.ATTEMPTS_BEFORE_FATAL} times a `FATAL`"),
    ("how-to/run-in-production.md", f"more than {schedule.CONTENTION_LIMIT} times in a row"),
    ("how-to/run-in-production.md", f"the last\n  {journal.KEEP_DELIVERED:,}"),
    ("reference/health-pages.md", f"at most {checks.LIMIT_SECONDS:g} seconds"),
    ("reference/health-pages.md", f"not for {health.FRESH_SECONDS:g} s"),
    ("reference/health-pages.md", f"{health.JOURNAL_MARK} entries or more"),
    ("reference/hooks.md", f"{plugins.LOAD_SECONDS:g} seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "words"), NUMBERS)
def test_a_number_is_the_codes(page: str, words: str) -> None:
    text = " ".join(read(ROOT / "docs" / page).split())
    assert " ".join(words.split()) in text


def declared() -> set[str]:
    project = tomllib.loads(read(ROOT / "pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    groups = [project["project"]["dependencies"], *extras, project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[>=<;! ]", each)[0].lower() for group in groups for each in group}
    return names


def test_every_dependency_is_explained_and_none_beyond() -> None:
    page = read(ROOT / "docs" / "explanation" / "dependencies.md")
    explained = {
        name.strip()
        for row in re.findall(r"^\| ([\w, -]+) \|", page, re.MULTILINE)
        for name in row.split(",")
    }
    assert explained - {"package"} == declared()
