"""Figures of a whole host with embedded flyte in one process, each beside a reference of the run.

Run ``python tests/benchmarks/host.py``; it takes about half a minute. The reference is a bare WSGI
app behind the same web server that answers 202 to one client, so that the machine cancels out.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response

from flyte_host import Command, EventDef, PackDef, hookimpl
from flyte_host.host import Host
from flyte_host.host.web_server import WebServer
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost, host_config, install
from flyte_host.testing.waiting import wait_until

ACTIONS = 500
PROBES = 200
DONE = EventDef("Done")


class TimedPack:
    """One command per step, so that a flow can chain them; remembers when handlers start."""

    def __init__(self) -> None:
        self.started: list[float] = []

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("TimedPack", commands=[Command("step", self.step, [DONE])])

    def step(self, input: Any) -> Any:
        self.started.append(time.perf_counter())
        return DONE(input)


def chain(name: str, steps: int) -> dict[str, Any]:
    """A flow of so many steps, each waiting for the one before."""
    command = {"packName": "TimedPack", "name": "step", "input": "{{ Event.Name }}"}
    first = {"id": "0", "event": {"packName": "TimedPack", "name": name}, "command": command}
    rest = [
        {
            "id": str(number),
            "dependsOn": [str(number - 1)],
            "event": {"packName": "TimedPack", "name": "Done"},
            "command": command,
        }
        for number in range(1, steps)
    ]
    return {"name": name, "steps": [first, *rest]}


def reference() -> float:
    """Requests per second of one client to a bare app."""
    app = Flask("bare")
    app.add_url_rule("/", "bare", lambda: Response(status=202), methods=["POST"])
    server = WebServer(app.wsgi_app, ("127.0.0.1", 0), name="bare")
    server.start()
    try:
        with requests.Session() as session:
            return ACTIONS / seconds(
                lambda: [session.post(server.url, json={"n": n}, timeout=9) for n in range(ACTIONS)]
            )
    finally:
        server.stop()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def throughput(flyte: FlyteServer, bench: TimedPack, steps: int) -> float:
    """Actions per second, from the first event posted to the last result at flyte."""
    name = f"Chain{steps}"
    flyte.put_flow(chain(name, steps))
    before = len(flyte.events("TimedPack"))
    wanted = before + ACTIONS // steps * (steps + 1)

    def work() -> None:
        for _ in range(ACTIONS // steps):
            flyte.send_event("TimedPack", name)
        wait_until(lambda: len(flyte.events("TimedPack")) >= wanted, name, timeout_seconds=120)

    bench.started.clear()
    return ACTIONS / seconds(work)


def latencies(flyte: FlyteServer, bench: TimedPack) -> list[float]:
    """Milliseconds from posting an event to the start of its handler, one at a time."""
    flyte.put_flow(chain("Probe", 1))
    found = []
    for _ in range(PROBES):
        bench.started.clear()
        before = len(flyte.events("TimedPack"))
        start = time.perf_counter()
        flyte.send_event("TimedPack", "Probe")
        wait_until(
            lambda: len(flyte.events("TimedPack")) >= before + 2,  # noqa: B023  used in this turn only
            "the probe is answered",
            look_seconds=0.001,
        )
        found.append((bench.started[0] - start) * 1000)
    return sorted(found)


def main() -> None:
    bare = reference()
    bench, flyte = TimedPack(), FlyteServer()
    with tempfile.TemporaryDirectory() as folder:
        config = host_config(flyte.url, Path(folder) / "journal.db", {}, {})
        host = Host(config, install({"bench": bench}), os.environ, Scrubber())
        flyte.on_action.append(host.schedule.wake)
        host.start()
        RunningHost(host).wait_ready()
        one, five = throughput(flyte, bench, 1), throughput(flyte, bench, 5)
        probes = latencies(flyte, bench)
        idle = threading.active_count()
        host.stop()
    flyte.close()
    points = [("p50", statistics.median(probes)), ("p99", probes[int(PROBES * 0.99)])]
    lines = [
        "| what | per second | of the bare app |",
        "|---|---|---|",
        f"| a bare app answers one client | {bare:,.0f} | 1.00 |",
        f"| actions through a one-step flow | {one:,.0f} | {one / bare:.2f} |",
        f"| actions through a five-step flow | {five:,.0f} | {five / bare:.2f} |",
        "",
        "| event posted to handler started | ms | requests to the bare app in that time |",
        "|---|---|---|",
        *(f"| {name} | {value:.1f} | {value * bare / 1000:.1f} |" for name, value in points),
        "",
        f"Threads while idle: {idle}.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
