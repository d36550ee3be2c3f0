"""Rounds of measurements: every process of a scenario once a round, one after the other.

Owns that processes alternate, so that what else the machine does meets all of them, and how a
figure of one is compared with that of another in the same round. Must not know how it is shown.
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
class Outcome:
    """``measured`` has one entry a round, by the name of the subject."""

    scenario: Scenario
    measured: dict[str, list[Measured]]

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.scenario.subjects]

    @property
    def reference(self) -> str:
        """Of the scenario's references the one with the most actions."""

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


def run_rounds(scenario: Scenario, runs: int) -> Outcome:
    measured: dict[str, list[Measured]] = {each.name: [] for each in scenario.subjects}
    for number in range(runs):
        for subject in turned(scenario.subjects, number):
            sys.stderr.write(f"{scenario.key}, round {number + 1} of {runs}: {subject.name}\n")
            measured[subject.name].append(measure(subject, scenario.workload))
    return Outcome(scenario, measured)


def turned(subjects: Sequence[Subject], number: int) -> Sequence[Subject]:
    """Each round begins with another one."""
    start = number % len(subjects)
    return [*subjects[start:], *subjects[:start]]
