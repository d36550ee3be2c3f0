"""What a process of its own costs a pack, each figure beside the same pack in this process.

Run ``python tests/benchmarks/isolation.py`` in the project's folder; it takes half a minute. The
calls are those of a handler that does nothing, the actions those of whole hosts with a stub flyte.
"""

import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from flyte_host.clock import Clock
from flyte_host.config import Config, FlyteConfig, PackConfig
from flyte_host.counters import Counters
from flyte_host.model import Action
from flyte_host.packs import ServedPack, merge_packs
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.plugins import Loader, plugin_named
from flyte_host.secrets import Scrubber
from flyte_host.thread_watch import ThreadWatch
from tests.benchmarks.checkout import this_checkout
from tests.benchmarks.rounds import run_rounds
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.subjects import HostSubject
from tests.benchmarks.workload import Workload

CALLS = 3000
ROUNDS = 7
SIDE_BY_SIDE = 16


def calls_per_second(pack: ServedPack, document: bytes) -> float:
    """Calls of ``echo`` from several threads, as a host with slots makes them."""
    tools = HandlerTools(Scrubber(), Clock(), Counters(), ThreadWatch())
    tools.start()
    bound = pack.commands["echo"]
    action = Action("a", "echo", "Tried", datetime.now(UTC))

    def work() -> None:
        for _ in range(CALLS // SIDE_BY_SIDE):
            call = HandlerCall(bound, document, action, action.pack, tools=tools, about={})
            call.start()
            call.end.wait(30)

    threads = [threading.Thread(target=work) for _ in range(SIDE_BY_SIDE)]
    began = time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.perf_counter() - began
    tools.close()
    return CALLS / seconds


def memory_mb(pid: int) -> float:
    """What the process has for itself."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [data] = [line for line in lines if line.startswith("RssAnon:")]
    return int(data.split()[1]) / 1024


def main() -> None:
    found = {}
    for isolation in (None, "process"):
        loader = Loader([plugin_named("tried", "tests.support.isolated_pack:Pack")], {}, Scrubber())
        packs = {"tried": PackConfig("tried", isolation=isolation)}
        began = time.perf_counter()
        registry = merge_packs(loader.load(packs), Config(FlyteConfig("http://x")))
        started = time.perf_counter() - began
        pack = registry.packs["tried"]
        small, large = (
            calls_per_second(pack, each) for each in (b'{"a": 1}', b'"' + b"x" * 100_000 + b'"')
        )
        found[isolation] = (small, large)
        process = pack.process
        memory = "" if process is None or process.child is None else (
            f"; {memory_mb(process.child.pid):.0f} MB of its own"
        )  # fmt: skip
        where = isolation or "host"
        sys.stdout.write(
            f"{where:8} started in {started:.2f} s; {small:,.0f} small calls/s, "
            f"{large:,.0f} of 100 kB{memory}\n"
        )
        loader.close()
    ratios = [there / here for here, there in zip(*found.values(), strict=True)]
    sys.stdout.write(f"ratio    {ratios[0]:.2f} small, {ratios[1]:.2f} of 100 kB\n")
    compare_hosts()


def compare_hosts() -> None:
    """Actions per second of hosts, in rounds."""
    here = this_checkout()
    subjects = [HostSubject("host", here), HostSubject("process", here, isolated=True)]
    scenario = Scenario("isolation", "Isolation", Workload(), subjects, ["host"])
    comparison = run_rounds(scenario, ROUNDS)
    for name in comparison.names:
        found = comparison.range_of(name, lambda each: each.actions_per_second)
        sys.stdout.write(f"{name:8} {found.median:,.0f} actions/s\n")
    ratio = comparison.ratio_of("process", lambda each: each.actions_per_second)
    sys.stdout.write(
        f"ratio    {ratio.median:.2f} of the actions ({ratio.least:.2f} to {ratio.most:.2f})\n"
    )


if __name__ == "__main__":
    main()
