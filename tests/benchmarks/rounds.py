"""Rounds of measurements: each measures every subject of a scenario once.

Subjects alternate, so other load on the machine hits all of them, and figures are compared within a
round. Must not know how they are shown.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.measuring import Measured, measure
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.subjects import Subject

Figure = Callable[[Measured], float]


@dataclass(frozen=True)
class Range:
    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Comparison:
    """``measured`` has one entry a round, by the name of the subject."""

    scenario: Scenario
    measured: dict[str, list[Measured]]

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.scenario.subjects]

    @property
    def reference(self) -> str:
        """The scenario's reference with the most actions."""

        def actions(name: str) -> float:
            return self.range_of(name, lambda each: each.actions_per_second).median

        return max(self.scenario.references, key=actions)

    def range_of(self, name: str, figure: Figure) -> Range:
        return range_of([figure(each) for each in self.measured[name]])

    def ratio_of(self, name: str, figure: Figure) -> Range:
        """Against the reference of the same round."""
        pairs = zip(self.measured[name], self.measured[self.reference], strict=True)
        return range_of([figure(ours) / figure(theirs) for ours, theirs in pairs])


def range_of(values: Sequence[float]) -> Range:
    return Range(statistics.median(values), min(values), max(values))


def run_rounds(scenario: Scenario, runs: int) -> Comparison:
    measured: dict[str, list[Measured]] = {each.name: [] for each in scenario.subjects}
    for number in range(runs):
        for subject in turned(scenario.subjects, number):
            sys.stderr.write(f"{scenario.key}, round {number + 1} of {runs}: {subject.name}\n")
            measured[subject.name].append(measure(subject, scenario.workload))
    return Comparison(scenario, measured)


def turned(subjects: Sequence[Subject], number: int) -> Sequence[Subject]:
    """The subjects in the order of a round: each round begins with the next one."""
    start = number % len(subjects)
    return [*subjects[start:], *subjects[:start]]
