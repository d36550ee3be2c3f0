"""The explanations agree with the code about layers, numbers and dependencies."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from flyte_host import plugins
from flyte_host.client import outage
from flyte_host.client.flyte_client import TAKE_SECONDS
from flyte_host.health import checks, readiness
from flyte_host.pipeline.delivery import courier, refusals
from flyte_host.pipeline.journal import retention
from flyte_host.pipeline.schedule import busy_workers, ladder, poll_record, poll_rules, timetable
from tests.support.blocks import ROOT, read

PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PROJECT = tomllib.loads(read(ROOT / "pyproject.toml"))


@pytest.mark.parametrize(
    ("package", "heading"),
    [("flyte_host", "| layer | owns |"), ("flyte_host.pipeline", "| layer of `pipeline` | owns |")],
)
def test_layers_are_those_of_the_linter(package: str, heading: str) -> None:
    table = read(PAGE).split(heading)[1].split("\n\n")[0]
    told = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    [contract] = [
        each
        for each in PROJECT["tool"]["importlinter"]["contracts"]
        if each.get("containers") == [package] and each.get("exhaustive")
    ]
    assert told == [re.split(r" [|:] ", layer) for layer in contract["layers"]]


def walks() -> list[str]:
    """The page's walks, with one action and with one event."""
    section = read(PAGE).split("\n## A walk with one action\n")[1].split("\n## ")[0]
    return section.split("\nAn event is shorter:\n")


@pytest.mark.parametrize("walk", walks(), ids=["action", "event"])
def test_a_walk_names_functions_of_its_files(walk: str) -> None:
    """In the file named last, or in one before it."""
    defined: set[str] = set()
    missing = []
    for name in re.findall(r"`([\w/.]+)`", walk):
        if "/" in name:
            defined |= set(re.findall(r"^ +(?:async )?def (\w+)", read(ROOT / name), re.MULTILINE))
        elif not name.endswith(".py") and name not in defined:
            missing.append(name)
    assert missing == []


def test_the_calls_of_a_worker_are_functions_of_the_files_of_the_walk() -> None:
    files = {Path(name).stem: name for name in re.findall(r"`([\w/]+/\w+\.py)`", walks()[0])}
    calls = re.findall(r"^ *(\w+)\.(\w+)", walks()[0].split("```")[1], re.MULTILINE)
    assert {file for file, _ in calls} == set(files)
    missing = [
        f"{file}.{name}" for file, name in calls if f" def {name}(" not in read(ROOT / files[file])
    ]
    assert missing == []


CAP_SECONDS = inspect.signature(outage.Outage).parameters["cap_seconds"].default
NUMBERS = [
    ("explanation/architecture.md", f"At most {timetable.ASKING} turns talk"),
    ("explanation/guarantees.md", f"At most {timetable.ASKING} takes"),
    ("explanation/guarantees.md", f"within {busy_workers.BACK_SECONDS * 1000:g} ms, together"),
    ("explanation/architecture.md", f"back within {busy_workers.QUICK_SECONDS * 1000:g} ms"),
    ("explanation/architecture.md", f"for up to {busy_workers.BACK_SECONDS * 1000:g} ms"),
    ("explanation/architecture.md", f"{courier.THREADS}, for all packs"),
    ("explanation/architecture.md", " and ".join(
        [", ".join(f"{each:g}" for each in ladder.LADDER_SECONDS[:-1]),
         f"{ladder.LADDER_SECONDS[-1]:g} seconds"])),
    ("explanation/architecture.md", f"{poll_rules.EXTRA_POLLS_PER_SECOND:g} extra polls a "),
    ("explanation/architecture.md", f"up to {CAP_SECONDS:g} seconds, with full jitter"),
    ("explanation/guarantees.md", f"at\nleast {TAKE_SECONDS:g} seconds"),
    ("explanation/guarantees.md", f"after {refusals.ATTEMPTS_BEFORE_FATAL} attempts sends a"),
    ("how-to/run-in-production.md", f"more than {poll_record.CONTENTION_LIMIT} times in a row"),
    ("how-to/run-in-production.md", f"the last\n  {retention.KEEP_DELIVERED:,}"),
    ("reference/health-pages.md", f"at most {checks.LIMIT_SECONDS:g} seconds"),
    ("reference/health-pages.md", f"not for {readiness.FRESH_SECONDS:g} s"),
    ("reference/health-pages.md", f"{readiness.JOURNAL_MARK} entries or more"),
    ("reference/hooks.md", f"{plugins.LOAD_SECONDS:g} seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "words"), NUMBERS)
def test_a_number_is_that_of_the_code(page: str, words: str) -> None:
    text = " ".join(read(ROOT / "docs" / page).split())
    assert " ".join(words.split()) in text


def declared() -> set[str]:
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    packs = [
        tomllib.loads(read(each)) for each in sorted((ROOT / "plugins").glob("*/pyproject.toml"))
    ]
    groups = [
        project["dependencies"],
        *extras,
        *PROJECT["dependency-groups"].values(),
        *(pack["project"]["dependencies"] for pack in packs),
    ]
    found = {re.split(r"[\[>=<;! ]", each)[0].lower() for group in groups for each in group}
    return found - {"flyte-host", *(pack["project"]["name"] for pack in packs)}


def test_dependencies_are_all_explained_and_no_others() -> None:
    page = read(ROOT / "docs" / "explanation" / "dependencies.md")
    explained = {
        name.strip()
        for row in re.findall(r"^\| ([\w, -]+) \|", page, re.MULTILINE)
        for name in row.split(",")
    }
    assert explained - {"package"} == declared()
