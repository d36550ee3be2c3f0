"""How soon a host in another process starts what an event asks for.

``python -m tests.benchmarks.wake_ups [--against REVISION] [--packs N] [--events N] [--rounds N]``
prints the milliseconds from the begin of the event's request to the start of the handler, one event
at a time, for a host with that many packs. Beside each is the time that flyte needs to accept an
event for which nobody waits, in the same run: only the ratio of the two carries over to other
machines.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.benchmarks.checkout import Checkout, checkouts
from tests.benchmarks.subjects import HostSubject, running
from tests.support.postgres import PostgresServer

FLOWS = 20
"""How many of the packs have work, one at a time."""
APART_SECONDS = 0.03
"""Between an event and the next: the host's request is open again."""
TOLD = "flyte announces actions at once"
ADDRESS = re.compile(r"embedded flyte at (http://\S+)")


@dataclass(frozen=True)
class FlyteSubject:
    """``flyte-host flyte`` of a checkout, on ``store``."""

    name: str
    checkout: Checkout
    store: str

    def command(self, url: str, folder: Path) -> Sequence[str]:
        del url
        (folder / "flyte.toml").touch()
        given = ["--config", "flyte.toml", "--listen", "127.0.0.1:0", "--store", self.store]
        return ["env", "-C", str(folder), str(self.checkout.program), "flyte", *given]

    def environ(self, folder: Path) -> dict[str, str]:
        del folder
        return {key: value for key, value in os.environ.items() if not key.startswith("FLYTE_")}


@dataclass
class Milliseconds:
    """What one kind of flytes took: until the handler started, and for an event without a flow."""

    wake_ups: list[float] = field(default_factory=list)
    events: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        p50, p99 = quantile(self.wake_ups, 0.5), quantile(self.wake_ups, 0.99)
        event = quantile(self.events, 0.5)
        return f"| {name} | {p50:.1f} | {p99:.1f} | {event:.1f} | {p50 / event:.1f} |"


def quantile(found: Sequence[float], part: float) -> float:
    return sorted(found)[min(int(len(found) * part), len(found) - 1)]


class Measurer:
    """Raises events at one flyte and hears from the handlers that they start."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE_SECONDS)

    def prepare(self, packs: int) -> None:
        """A flow for some of the packs, and the pack whose events start it."""
        port = self._socket.getsockname()[1]
        self._post("packs", {"name": "Bell"})
        for number in range(FLOWS):
            event = {"packName": "Bell", "name": f"Ring{number}"}
            pack = f"Pack{number * packs // FLOWS}"
            command = {"packName": pack, "name": "report", "input": str(port)}
            flow = {"name": f"flow{number}", "steps": [{"event": event, "command": command}]}
            self._post("flows", flow)

    def measure(self, events: int, found: Milliseconds) -> None:
        for number in range(events):
            began = self._event(f"Ring{number % FLOWS}")
            started = int(self._socket.recv(64))
            found.wake_ups.append((started - began) / 1e6)
            time.sleep(APART_SECONDS)
            began = self._event("Unheard")
            found.events.append((time.monotonic_ns() - began) / 1e6)
            time.sleep(APART_SECONDS)

    def close(self) -> None:
        self._session.close()
        self._socket.close()

    def _event(self, name: str) -> int:
        began = time.monotonic_ns()
        self._post("packs/Bell/events", {"event": name, "payload": 1})
        return began

    def _post(self, path: str, document: Any) -> None:
        answer = self._session.post(f"{self._url}/v1/{path}", json=document, timeout=60)
        answer.raise_for_status()


def measure(checkout: Checkout, stores: Sequence[str], packs: int, events: int) -> Milliseconds:
    """One flyte for each of ``stores``: events go to the first, the host is at the last."""
    found = Milliseconds()
    with ExitStack() as stack:
        urls = [stack.enter_context(_flyte(checkout, store)) for store in stores]
        measurer = Measurer(urls[0])
        stack.callback(measurer.close)
        measurer.prepare(packs)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flyte-bench-")))
        host = HostSubject("host", checkout, packs=packs)
        process = stack.enter_context(running(host, urls[-1], folder))
        _wait_for(TOLD, folder / "log", process)
        known = f"{urls[-1]}/v1/packs"
        wait_until(lambda: _count_packs(known) > packs, "all packs are registered")
        measurer.measure(FLOWS, Milliseconds())  # the first of each is not counted
        measurer.measure(events, found)
    return found


@contextmanager
def _flyte(checkout: Checkout, store: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="flyte-bench-") as name:
        folder = Path(name)
        subject = FlyteSubject("flyte", checkout, store)
        with running(subject, "", folder) as process:
            yield _wait_for(ADDRESS.pattern, folder / "log", process)


def _count_packs(url: str) -> int:
    return len(requests.get(url, timeout=60).json()["packs"])


def _wait_for(pattern: str, log: Path, process: "subprocess.Popen[bytes]") -> str:
    """The text in the log, its first group if it has one; raises RuntimeError if it ends first."""
    while not (found := re.search(pattern, log.read_text(encoding="utf-8", errors="replace"))):
        if process.poll() is not None:
            raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        time.sleep(0.05)
    return found[found.lastindex or 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", action="append", default=[])
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, Milliseconds] = {}
    server = PostgresServer()
    server.stop()
    server.start(fsync="on", full_page_writes="on")
    with checkouts(options.against) as revisions:
        for _ in range(options.rounds):
            for kind, flytes in (("SQLite", 1), ("PostgreSQL", 1), ("PostgreSQL, two flytes", 2)):
                for checkout in revisions:
                    with server.database() as url:
                        stores = ["flyte.db"] if kind == "SQLite" else [url] * flytes
                        run = measure(checkout, stores, options.packs, options.events)
                    total = found.setdefault(f"{kind}, {checkout.revision}", Milliseconds())
                    total.wake_ups += run.wake_ups
                    total.events += run.events
    server.remove()
    lines = ["| flyte | p50 ms | p99 ms | event alone ms | ratio |", "|---|---|---|---|---|"]
    lines += [each.row(name) for name, each in found.items()]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
