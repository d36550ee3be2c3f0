"""The parts of the benchmarks work together. Nothing here depends on the figures."""

import asyncio
import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.benchmarks import wake_ups
from tests.benchmarks.bar_chart import Bar, BarGroup, bar_chart
from tests.benchmarks.checkout import checkouts, read_checkout, this_checkout
from tests.benchmarks.measuring import measure
from tests.benchmarks.page import BEGIN, END, heading, write_page
from tests.benchmarks.rounds import Range, range_of, run_rounds, turned
from tests.benchmarks.scenarios import REQUESTS, Scenario, hosts, scenarios
from tests.benchmarks.seeing import FLOWS, cost_of_decisions, fill, serving
from tests.benchmarks.start_up import start_up
from tests.benchmarks.stores import StoreCase, prepare
from tests.benchmarks.stub_flyte import StubFlyte, StubRecorder
from tests.benchmarks.tables import TABLES, charts, markdown
from tests.benchmarks.waking import simulate_waking, waking_plot
from tests.benchmarks.workload import Workload

SVG = "{http://www.w3.org/2000/svg}"
SHORT = Workload(warm_up_seconds=0.0, seconds=0.02)
REGISTER = b"POST /v1/packs HTTP/1.1"
TAKE = b"POST /v1/packs/Bench/actions/take HTTP/1.1"
RESULT = b"POST /v1/packs/Bench/actions/000000000001/result HTTP/1.1"


def test_wake_ups_are_measured_beside_events_alone() -> None:
    found = wake_ups.measure(this_checkout(), ["flyte.db"], packs=wake_ups.FLOWS, events=3)
    assert len(found.wake_ups) == len(found.events) == 3
    assert min(found.wake_ups) > 0
    assert found.row("SQLite").count("|") == 6


def test_harness_measures_hosts_beside_a_reference(tmp_path: Path) -> None:
    here = [this_checkout()]
    idle = replace(SHORT, packs=3, idle=True)
    flows = replace(SHORT, packs=3, flows=1, flow_steps=3)
    outcomes = [
        run_rounds(Scenario("sync", "Some", SHORT, [REQUESTS, *hosts(here)], [REQUESTS.name]), 1),
        run_rounds(
            Scenario("packs-100", "Idle", idle, hosts(here, packs=3), [hosts(here)[0].name]), 1
        ),
        run_rounds(Scenario("flows", "Flows", flows, hosts(here, packs=3), []), 1),
    ]
    text = "\n\n".join([heading(1, datetime.now(UTC), 0.0), *map(markdown, outcomes)])
    rows = [each for each in text.splitlines() if each.startswith(f"| {hosts(here)[0].name} |")]
    assert len(rows) == 4
    assert sum(each.startswith(f"| {REQUESTS.name} |") for each in text.splitlines()) == 1

    page = tmp_path / "figures.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page(page, text, charts(outcomes))
    written = page.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"{END}\nafter\n")
    assert text in written
    assert "old" not in written
    assert (tmp_path / "figures-cpu.svg").exists()


def test_page_without_markers_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="has no part between"):
        write_page(page, "text", {})


@dataclass(frozen=True)
class Failing:
    """A process that ends by itself."""

    name: str = "failing"

    def command(self, url: str, folder: Path) -> list[str]:
        return ["sh", "-c", "echo no such flyte; exit 3"]

    def environ(self, folder: Path) -> dict[str, str]:
        return {}


def test_process_that_ends_early_is_an_error_with_its_log() -> None:
    with pytest.raises(RuntimeError, match=r"failing ended with status 3; .*no such flyte"):
        measure(Failing(), SHORT)


def test_every_scenario_has_tables_and_its_references() -> None:
    found = scenarios([this_checkout()])
    assert [each.key for each in found] == list(TABLES)
    for each in found:
        names = [subject.name for subject in each.subjects]
        assert len(set(names)) == len(names)
        assert set(each.references) <= set(names)


def test_checkout_without_an_environment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run make \.venv/\.host"):
        read_checkout(tmp_path)


def test_checkout_that_is_neither_folder_nor_revision_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither a folder nor a revision"), checkouts(["none-of"]):
        pass


def answers_of(workload: Workload, *lines: bytes) -> list[bytes]:
    """The status of each answer to a registration and to ``lines``, all sent at the same moment."""
    got: list[bytes] = []

    async def send_all() -> None:
        complete = asyncio.Event()

        def note(answer: bytes) -> None:
            got.append(answer)
            if len(got) > len(lines):
                complete.set()

        flyte = StubFlyte(workload, StubRecorder(workload))
        for line in [REGISTER, *lines]:
            flyte.answer(line, json.dumps({"name": "Bench"}).encode(), note)
        await complete.wait()

    asyncio.run(send_all())
    return [each.split(b" ")[1] for each in got]


def test_stub_takes_a_result_once() -> None:
    assert answers_of(SHORT, TAKE, RESULT, RESULT) == [b"201", b"200", b"202", b"500"]


def test_stub_refuses_a_take_within_the_window_of_another() -> None:
    colliding = replace(SHORT, contention_seconds=0.01)
    assert sorted(answers_of(colliding, TAKE, TAKE)) == [b"200", b"201", b"500"]


def test_stub_queues_the_next_step_of_a_flow_after_a_result() -> None:
    got: list[bytes] = []

    async def walk() -> None:
        workload = replace(SHORT, packs=2, flows=1, flow_steps=2)
        recorder = StubRecorder(workload)
        flyte = StubFlyte(workload, recorder)
        for name in ("A", "B"):
            flyte.answer(REGISTER, json.dumps({"name": name}).encode(), got.append)
        for pack, number in ((b"A", 1), (b"B", 2)):
            while not got[-1].startswith(b"HTTP/1.1 200"):
                flyte.answer(b"POST /v1/packs/%b/actions/take HTTP/1.1" % pack, b"", got.append)
                await asyncio.sleep(0)
            result = b"POST /v1/packs/%b/actions/%012d/result HTTP/1.1" % (pack, number)
            flyte.answer(result, b"", got.append)
        assert recorder.over

    asyncio.run(walk())
    statuses = [each.split(b" ")[1] for each in got if b" 204 " not in each]
    assert statuses == [b"201", b"201", b"200", b"202", b"200", b"202"]


def test_start_up_is_a_table_of_each_checkout_beside_the_imports() -> None:
    rows = start_up([this_checkout()], 1).splitlines()
    assert [each.split(" | ")[0] for each in rows[-2:]] == [
        "| `python -c 'import click, requests, pluggy'`",
        f"| {hosts([this_checkout()])[0].name} `--help`",
    ]


def test_waking_is_a_plot_with_a_line_for_each_number_of_packs() -> None:
    drawn = ET.fromstring(waking_plot({1: [(1.0, 0.02), (3.0, 0.01)], 10: [(2.0, 0.5)]}))
    texts = [each.text for each in drawn.iter(f"{SVG}text")]
    assert "1 pack" in texts
    assert "10 packs" in texts
    assert len(list(drawn.iter(f"{SVG}polyline"))) == 2


def test_waking_is_simulated_with_more_or_fewer_extra_polls() -> None:
    few, many = simulate_waking(10, budgets=(2.0, 40.0), flows=6)
    assert few[0] < many[0]


def test_stub_answers_what_it_does_not_know() -> None:
    lines = [b"GET /v1 HTTP/1.1", b"POST /v1/packs/Bench/events HTTP/1.1", b"GET /v2 HTTP/1.1"]
    late = replace(SHORT, idle=True, latency_seconds=0.001)
    expected = [b"201", b"200", b"202", b"404", b"204"]
    assert sorted(answers_of(late, *lines, TAKE)) == sorted(expected)


def test_rounds_begin_with_another_subject_each() -> None:
    subjects = [*hosts([this_checkout()]), REQUESTS, Failing()]
    assert turned(subjects, 1) == [*subjects[1:], subjects[0]]
    assert turned(subjects, 3) == subjects


def test_range_has_median_least_and_most() -> None:
    assert range_of([3.0, 1.0, 8.0]) == Range(3.0, 1.0, 8.0)


def test_chart_is_svg_with_every_bar() -> None:
    bars = [Bar("a < b", Range(0.5, 0.25, 2.0)), Bar("c", Range(0.1, 0.1, 0.1))]
    drawn = ET.fromstring(bar_chart("Title", [BarGroup("Group", bars)]))
    texts = [each.text for each in drawn.iter(f"{SVG}text")]
    assert texts == ["Title", "Group", "a < b", "0.50", "c", "0.10"]
    assert len(list(drawn.iter(f"{SVG}rect"))) == 3


def test_what_seeing_costs_is_measured(tmp_path: Path) -> None:
    fill(tmp_path / "flyte.db", 3 * FLOWS)
    with serving(tmp_path / "flyte.db") as server:
        page = requests.get(
            f"{server.url}/executions", headers={"Accept": "text/html"}, timeout=PATIENCE_SECONDS
        ).text
    assert page.count('href="/executions/') == 50
    assert 0 < cost_of_decisions(10) < 1


def test_stores_are_measured(tmp_path: Path) -> None:
    store = str(tmp_path / "flyte.db")
    prepare(store, 100)
    case = StoreCase("SQLite", store, 100, 1)
    case.run(0.1)
    assert case.row(case).startswith("| 100 | 1 | SQLite | ")
    assert len(case.durations["result"]) >= 1
