"""Runs the benchmarks of the host against a stub flyte: ``make bench``.

``python -m tests.benchmarks [--runs N] [--against PATH-OR-REVISION]… [--only KEY]…``. The tables go
to stdout; a run of all scenarios also writes them to the page of the documentation.
"""

import argparse
import os
import sys
from datetime import UTC, datetime

from tests.benchmarks.checkout import ROOT, checkouts
from tests.benchmarks.page import heading, write_page
from tests.benchmarks.rounds import run_rounds
from tests.benchmarks.scenarios import scenarios
from tests.benchmarks.start_up import start_up
from tests.benchmarks.tables import TABLES, charts, markdown

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", action="append", default=[], metavar="PATH-OR-REVISION")
    parser.add_argument("--only", action="append", default=[], choices=[*TABLES, "help"])
    asked = parser.parse_args()
    shown = [show(heading(asked.runs, datetime.now(UTC), os.getloadavg()[0]))]
    outcomes = []
    with checkouts(asked.against) as found:
        for each in scenarios(found):
            if not asked.only or each.key in asked.only:
                outcomes.append(run_rounds(each, asked.runs))
                shown.append(show(markdown(outcomes[-1])))
        if not asked.only or "help" in asked.only:
            shown.append(show(start_up(found, asked.runs)))
    if not asked.only:
        write_page(PAGE, "\n\n".join(shown), charts(outcomes))


def show(text: str) -> str:
    """Print what is known so far, since a later scenario may fail."""
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()
    return text


if __name__ == "__main__":
    main()
