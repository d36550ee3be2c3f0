"""Figures of a scrape of a host with many packs, each beside a reference of the same run.

Run ``python tests/benchmarks/scrape.py``; it takes a few seconds. The reference is ``/live``, which
says next to nothing, so that the machine and the web server cancel out.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from flyte_host import Command, EventDef, PackDef, hookimpl
from flyte_host.counters import Counters
from flyte_host.host.host import Host
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config, install

PACKS = 200
COMMANDS = 5
SCRAPES = 20
COUNTS = 100_000
DONE = EventDef("Done")


class ScrapedPack:
    """A pack of some commands, none of which is ever asked for."""

    def __init__(self, number: int) -> None:
        self._name = f"ScrapedPack{number}"

    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [Command(f"command-{each}", self.done, [DONE]) for each in range(COMMANDS)]
        return PackDef(self._name, commands=commands)

    def done(self, input: Any) -> Any:
        return DONE(input)


def median_ms(work: Callable[[], object], times: int = SCRAPES) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def count_one_action(counts: Counters) -> None:
    """All that is counted on the way of an action."""
    counts.called("take", "ok")
    counts.took("pack0", "action")
    counts.ended("pack0", "command-0", "success", 0.1)
    counts.called("result", "ok")
    counts.delivered("pack0", "result", "accepted")


def action_microseconds(counts: Counters) -> float:
    start = time.perf_counter()
    for _ in range(COUNTS):
        count_one_action(counts)
    return (time.perf_counter() - start) / COUNTS * 1e6


def figures(running: RunningHost, counts: Counters) -> list[str]:
    with requests.Session() as session:
        live = median_ms(lambda: session.get(f"{running.health_url}/live", timeout=30))
        bare = median_ms(lambda: session.get(f"{running.health_url}/metrics", timeout=30))
        for pack in range(PACKS):
            for command in range(COMMANDS):
                counts.ended(f"pack{pack}", f"command-{command}", "success", 0.1)
        full = median_ms(lambda: session.get(f"{running.health_url}/metrics", timeout=30))
        page = session.get(f"{running.health_url}/metrics", timeout=30).text
    lines = sum(not line.startswith("#") for line in page.splitlines())
    return [
        f"| `/live` | {live:.1f} |",
        f"| `/metrics`, no command ever ran | {bare:.1f} |",
        f"| `/metrics`, every command ran | {full:.1f} |",
        "",
        f"{PACKS} packs of {COMMANDS} commands: {lines:,} series, {len(page) / 1e6:.1f} MB.",
        f"Counting one action: {action_microseconds(counts):.1f} microseconds.",
    ]


def main() -> None:
    flyte = FlyteServer()
    with tempfile.TemporaryDirectory() as folder:
        config = host_config(flyte.url, Path(folder) / "journal.db", {}, {})
        packs = {f"pack{each}": ScrapedPack(each) for each in range(PACKS)}
        running = RunningHost(Host(config, install(packs), os.environ, Scrubber()))
        running.host.start()
        running.wait_ready(60)
        lines = ["| page | ms |", "|---|---|", *figures(running, running.host.parts.counters)]
        running.stop()
    flyte.close()
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
