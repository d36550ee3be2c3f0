"""What a process of its own costs a pack, each figure beside the same pack in this process.

Run ``python tests/benchmarks/isolation.py`` in the project's folder; it takes a few seconds.
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
from flyte_host.pipeline.runner import Runner
from flyte_host.plugins import Loader, plugin_named
from flyte_host.secrets import Scrubber

CALLS = 3000
SIDE_BY_SIDE = 16


def calls_per_second(pack: ServedPack, document: bytes) -> float:
    """Calls of ``echo`` from several threads, as a host with slots makes them."""
    runner = Runner(Scrubber(), Clock(), Counters())
    runner.start()
    bound = pack.commands["echo"]
    action = Action("a", "echo", "Tried", datetime.now(UTC))

    def work() -> None:
        for _ in range(CALLS // SIDE_BY_SIDE):
            call = runner.call(bound, document, action)
            call.start()
            call.end.result(30)

    threads = [threading.Thread(target=work) for _ in range(SIDE_BY_SIDE)]
    began = time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.perf_counter() - began
    runner.close()
    return CALLS / seconds


def memory_mb(pid: int) -> float:
    """What the process has for itself."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [data] = [line for line in lines if line.startswith("RssAnon:")]
    return int(data.split()[1]) / 1024


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
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


if __name__ == "__main__":
    main()
