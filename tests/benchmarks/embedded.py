"""Figures of embedded flyte: with a host in its process, and alone.

``python -m tests.benchmarks.embedded [--runs N] [--against PATH]… [--only KEY]…``; a path is the
folder of a checkout, which runs with the environment of this one. Each run measures every checkout
once, so that other load on the machine hits all of them; shown are the median and the range.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.checkout import ROOT
from tests.benchmarks.flow_runs import FlowRuns
from tests.benchmarks.idle_takes import idle_takes_per_second
from tests.benchmarks.rounds import range_of

IDLE_PACKS = 1000
STEPS = 500
Figures = dict[str, float]


@dataclass(frozen=True)
class EmbeddedScenario:
    """``measure`` gets the folder of a checkout; each of its figures is one row of the table."""

    key: str
    measure: Callable[[Path], Figures]


def one_step(folder: Path) -> Figures:
    with FlowRuns(folder, packs=1) as runs:
        runs.put_flows("one-step", count=100, steps=1)
        began = runs.run("one-step", events=30, actions=3000)
    return {
        "one-step flows: actions/s": began.per_second,
        "one-step flows: CPU µs per action": began.cpu_microseconds,
    }


def five_step(folder: Path) -> Figures:
    with FlowRuns(folder, packs=5) as runs:
        runs.put_flows("five-step", count=20, steps=5)
        began = runs.run("five-step", events=20, actions=2000)
        runs.put_flows("alone", count=1, steps=5)
        alone = [runs.run("alone", events=1, actions=5).seconds for _ in range(20)]
    return {
        "five-step flows over five packs: actions/s": began.per_second,
        "one five-step flow alone: first to last handler, ms": 1e3 * range_of(alone).median,
    }


def long_execution(folder: Path) -> Figures:
    figures: Figures = {}
    with FlowRuns(folder, packs=1) as runs:
        for steps in (STEPS, 2 * STEPS):
            runs.put_flows(f"chain-{steps}", count=1, steps=steps)
            began = runs.run(f"chain-{steps}", events=1, actions=steps)
            figures[f"one execution of {steps:,} steps: actions/s"] = began.per_second
    return figures


def latency(folder: Path) -> Figures:
    with FlowRuns(folder, packs=1) as runs:
        runs.put_flows("latency", count=1, steps=1)
        runs.run("latency", events=50, actions=50, pause_seconds=0.02)
        began = runs.run("latency", events=300, actions=300, pause_seconds=0.02)
    return {
        "event to handler: p50 ms": 1e3 * began.latency(0.5),
        "event to handler: p99 ms": 1e3 * began.latency(0.99),
    }


def idle_packs(folder: Path) -> Figures:
    with FlowRuns(folder, packs=IDLE_PACKS) as runs:
        seconds = runs.seconds_to_registered
        return {
            f"{IDLE_PACKS:,} idle packs: % of a core": runs.idle_core_percent(60.0),
            f"{IDLE_PACKS:,} packs: seconds from the first registration to the last": seconds,
        }


def idle_takes(folder: Path) -> Figures:
    return {"alone: takes that find nothing per second": idle_takes_per_second(folder)}


SCENARIOS = tuple(
    EmbeddedScenario(measure.__name__.replace("_", "-"), measure)
    for measure in (one_step, five_step, long_execution, latency, idle_packs, idle_takes)
)


def table(names: list[str], rows: dict[str, dict[str, list[float]]]) -> Iterator[str]:
    yield f"| | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for what, by_name in rows.items():
        yield f"| {what} | {' | '.join(_cell(by_name.get(name, [])) for name in names)} |"


def _cell(values: list[float]) -> str:
    if not values:
        return "not measured"
    found = range_of(values)
    return f"{found.median:,.4g} ({found.least:,.4g} to {found.most:,.4g})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.embedded")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", action="append", default=[], type=Path, metavar="PATH")
    parser.add_argument("--only", action="append", default=[], choices=[it.key for it in SCENARIOS])
    asked = parser.parse_args()
    folders = {each.name: each for each in (*asked.against, ROOT)}
    rows: dict[str, dict[str, list[float]]] = {}
    for _ in range(asked.runs):
        for scenario in SCENARIOS:
            if asked.only and scenario.key not in asked.only:
                continue
            for name, folder in folders.items():
                for what, figure in scenario.measure(folder).items():
                    rows.setdefault(what, {}).setdefault(name, []).append(figure)
    sys.stdout.write("\n".join(table(list(folders), rows)) + "\n")


if __name__ == "__main__":
    main()
