"""What traces cost: hosts without and with them, each beside the other in the same round.

Run ``python -m tests.benchmarks.traces`` in the project's folder; it takes a minute. The collector
is a separate process, as it is anywhere, and throws away what it gets.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.checkout import this_checkout
from tests.benchmarks.rounds import run_rounds
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.subjects import HostSubject
from tests.benchmarks.workload import Workload

ROUNDS = 7
COLLECTOR = """
from tests.support.scripted_server import ScriptedServer, reply
with ScriptedServer() as server:
    server.on("POST /v1/traces", reply(200))
    print(server.url, flush=True)
    input()
"""
FIGURES = {
    "actions/s": lambda each: each.actions_per_second,
    "CPU µs per action": lambda each: each.cpu_microseconds,
}


@contextmanager
def collector() -> Iterator[str]:
    """Its URL, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        yield process.stdout.readline().strip()
        process.communicate("\n")


def main() -> None:
    here = this_checkout()
    with collector() as url:
        subjects = [HostSubject("off", here), HostSubject("on", here, traces=url)]
        scenario = Scenario("traces", "Traces", Workload(), subjects, ["off"])
        comparison = run_rounds(scenario, ROUNDS)
    for title, figure in FIGURES.items():
        found = [comparison.range_of(name, figure).median for name in comparison.names]
        ratio = comparison.ratio_of("on", figure)
        sys.stdout.write(
            f"{title}: off {found[0]:,.0f}, on {found[1]:,.0f}; on / off {ratio.median:.2f} "
            f"({ratio.least:.2f} to {ratio.most:.2f})\n"
        )


if __name__ == "__main__":
    main()
