"""Runs the benchmarks of the host against a stub flyte: ``make bench``.

``python -m tests.benchmarks [--runs N] [--against PATH-OR-REVISION]… [--only KEY]…``. The tables go
to stdout; a run of all scenarios also writes them to the page of the documentation.
"""

import argparse
import os
import sys
from datetime import UTC, datetime

from tests.benchmarks.checkout import ROOT, checkouts
from tests.benchmarks.page import report, write_page
from tests.benchmarks.rounds import run_rounds
from tests.benchmarks.scenarios import scenarios
from tests.benchmarks.start_up import start_up
from tests.benchmarks.tables import TABLES, charts

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", action="append", default=[], metavar="PATH-OR-REVISION")
    parser.add_argument("--only", action="append", default=[], choices=[*TABLES, "help"])
    asked = parser.parse_args()
    load, now = os.getloadavg()[0], datetime.now(UTC)
    with checkouts(asked.against) as found:
        wanted = [each for each in scenarios(found) if not asked.only or each.key in asked.only]
        outcomes = [run_rounds(each, asked.runs) for each in wanted]
        is_wanted = not asked.only or "help" in asked.only
        first_answer = start_up(found, asked.runs) if is_wanted else ""
    text = "\n\n".join(filter(None, [report(outcomes, asked.runs, now, load), first_answer]))
    sys.stdout.write(text)
    if not asked.only:
        write_page(PAGE, text, charts(outcomes))


if __name__ == "__main__":
    main()
