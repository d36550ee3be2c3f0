"""What ``flyte-host --help`` costs, beside a Python that imports the libraries it needs.

Owns the processes and the table.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.benchmarks.checkout import Checkout
from tests.benchmarks.rounds import range_of
from tests.benchmarks.scenarios import host_name

IMPORTS = "import click, requests, pluggy"
REFERENCE = f"`python -c '{IMPORTS}'`"


def start_up(checkouts: Sequence[Checkout], runs: int) -> str:
    """A table in Markdown; commands take turns."""
    commands = {REFERENCE: [sys.executable, "-c", IMPORTS]}
    for each in checkouts:
        commands[f"{host_name(each)} `--help`"] = [str(each.program), "--help"]
    for command in commands.values():
        _spend(command)  # with files in memory, and byte code
    spent = {name: [] for name in commands}  # type: dict[str, list[tuple[float, float]]]
    for _ in range(runs):
        for name, command in commands.items():
            spent[name].append(_spend(command))
    rows = [
        "### The first answer of the command line",
        f"Reference: {REFERENCE}.",
        "\n".join([
            "| process | CPU ms | times the reference | ms | times the reference |",
            "|---|---|---|---|---|",
            *(_row(name, spent[name], spent[REFERENCE]) for name in commands),
        ]),
    ]  # fmt: skip
    return "\n\n".join(rows) + "\n"


def _row(
    name: str, ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]
) -> str:
    cells = [name]
    for number in range(2):
        found = range_of([each[number] for each in ours])
        ratio = range_of([a[number] / b[number] for a, b in zip(ours, theirs, strict=True)])
        cells += [f"{found.median * 1000:.0f}", f"{ratio.median:.2f}"]
    return f"| {' | '.join(cells)} |"


def _spend(command: Sequence[str]) -> tuple[float, float]:
    """Seconds of CPU and of the clock."""
    before, began = _children_seconds(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return _children_seconds() - before, time.perf_counter() - began


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
