"""The figures of full runs as rows of a Markdown table."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.fault_rig import Reckoning

HEAD = (
    "| what | times | actions | events | lost | in flyte's gap | results twice | events lost "
    "| events again | to recover: median, most |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class Figures:
    rows: list[str] = field(default_factory=list)

    def add(
        self, what: str, times: int, accounts: Sequence[Reckoning], seconds: Sequence[float]
    ) -> None:
        cells = [
            what, times, sum(each.actions for each in accounts),
            sum(each.events for each in accounts), sum(len(each.lost) for each in accounts),
            sum(each.gap for each in accounts), sum(len(each.twice) for each in accounts),
            sum(len(each.events_lost) for each in accounts),
            sum(each.repeated for each in accounts),
            f"{statistics.median(seconds):.1f} s, {max(seconds):.1f} s" if seconds else "",
        ]  # fmt: skip
        self.note("| " + " | ".join(str(cell) for cell in cells) + " |")

    def note(self, row: str) -> None:
        self.rows.append(row)

    def print(self) -> None:
        sys.stdout.write("\n".join(["", HEAD, *self.rows, ""]))
