"""Every metric and label on the pages about metrics exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flyte_host import counters
from flyte_host.health.metrics import METRICS, PREFIX
from flyte_host.health.prometheus import JOURNAL_SECONDS
from flyte_host.pipeline.journal import Kind
from flyte_host.plugins import Status
from tests.support.blocks import GENERATED, PAGES, ROOT, Block, all_blocks, blocks_of, read

HOW_TO = ROOT / "docs" / "how-to" / "watch-with-prometheus.md"
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
LABELS = {PREFIX + each.name: set(each.labels) for each in METRICS}
VALUES: dict[str, Any] = {
    "result": set(counters.TAKES),
    "outcome": {*counters.ENDINGS, *counters.DELIVERIES},
    "state": {"taken", "result", "event", "parked", "alive", "dead"},
    "status": set(Status),
}
TARGET = {"job", "instance"}
PARTS = re.compile(r"_(bucket|sum|count)$")
SELECTOR = re.compile(r"(?<![\w/])(flyte_host_[a-z_]+)(?:\{([^}]*)\})?")


def labels_of(name: str) -> set[str] | None:
    whole = PARTS.sub("", name)
    if whole != name and whole in LABELS:
        return LABELS[whole] | {"le"}
    return LABELS.get(name)


def rules() -> list[dict[str, str]]:
    [rules] = [each for each in blocks_of(HOW_TO) if each.title == "flyte-host.rules.yml"]
    [group] = yaml.safe_load(rules.text)["groups"]
    found: list[dict[str, str]] = group["rules"]
    return found


def expressions() -> list[str]:
    shown = [each.text for each in all_blocks("promql")]
    return [*shown, *(each["expr"] for each in rules())]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_names_of_metrics_exist(path: Path) -> None:
    named = {name for name, _ in SELECTOR.findall(GENERATED.sub("", read(path)))}
    assert {each for each in named if labels_of(each) is None} == set()


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_uses_existing_labels_and_values(expression: str) -> None:
    selectors = SELECTOR.findall(expression)
    assert selectors or expression.startswith("up{")
    known: set[str] = set().union(*(labels_of(name) or set() for name, _ in selectors)) | TARGET
    for name, matchers in selectors:
        for label, values in re.findall(r'(\w+)[!=~]+"([^"]*)"', matchers):
            assert label in (labels_of(name) or set())
            assert set(values.split("|")) <= VALUES[label]
    for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", listed)) <= known
    for opened, closed in ("()", "[]", "{}"):
        assert expression.count(opened) == expression.count(closed)


def test_alerts_are_explained_and_use_a_metric() -> None:
    names = [each["alert"] for each in rules()]
    assert re.findall(r"^\| `(\w+)` \|", read(HOW_TO), re.MULTILINE) == names
    assert "Seven are worth" in read(HOW_TO)
    assert len(names) == 7
    for rule in rules():
        assert rule["expr"].startswith("up{") or SELECTOR.search(rule["expr"])


def test_a_summary_uses_labels_that_the_alert_has() -> None:
    for rule in rules():
        selectors = SELECTOR.findall(rule["expr"])
        has: set[str] = set().union(*(LABELS[name] for name, _ in selectors)) | TARGET
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= has


def test_the_scrape_reads_the_rules_and_the_hosts() -> None:
    [config] = [each for each in blocks_of(HOW_TO) if each.title == "prometheus.yml"]
    document = yaml.safe_load(config.text)
    assert document["rule_files"] == ["flyte-host.rules.yml"]
    [scrape] = document["scrape_configs"]
    assert f'up{{job="{scrape["job_name"]}"}} == 0' == rules()[0]["expr"]
    [static] = scrape["static_configs"]
    assert {each.rpartition(":")[2] for each in static["targets"]} == {"8090"}


def rows(page: str, head: str) -> list[list[str]]:
    table = page.split(head)[1].split("\n\n", maxsplit=1)[0]
    return [row.split(" | ") for row in table.splitlines()[2:]]


def test_the_reference_knows_every_word() -> None:
    page = read(REFERENCE)
    results = [row[0].strip("| `") for row in rows(page, "| `result` | ")]
    assert tuple(results) == counters.TAKES
    told = {row[0].strip("| "): set(re.findall(r"`([\w ]+)`", row[1])) for row in
            rows(page, "| label | values |")}  # fmt: skip
    assert told == {
        "`call`": set(counters.CALLS),
        "`outcome` of an action": set(counters.ENDINGS),
        "`kind`": set(counters.KINDS),
        "`outcome` of a delivery": set(counters.DELIVERIES),
        "`state` of the journal's entries": {"taken", "result", "event", "parked"},
        "`state` of threads": {"alive", "dead"},
        "`status`": set(Status),
    }
    assert set(Kind) == set(counters.KINDS)
    assert f"waits {JOURNAL_SECONDS:g} seconds" in page


def test_queries_are_all_on_the_checked_page() -> None:
    blocks: list[Block] = all_blocks("promql")
    assert {each.path for each in blocks} == {HOW_TO}
