"""SQLite and PostgreSQL beside each other: ``python -m tests.benchmarks.stores``.

Each flyte is a process that raises events, takes actions and posts results by calling its own API,
without HTTP between: what is measured is the store. PostgreSQL flushes each commit to disk, SQLite
does not (``synchronous = NORMAL``). Only ratios carry over to other machines.
"""

import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.database import Statements
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.direct_app import DirectApp
from tests.support.postgres import PostgresServer

SECONDS = 4.0
RUNS = 3
FLYTES = (1, 2, 4)
STORED = (10_000, 100_000)
ROOT = Path(__file__).parents[2]
BASE = "http://f"
FLOW = (
    '{"name": "f", "steps": [{"event": {"packName": "P", "name": "Go"}, '
    '"command": {"packName": "P", "name": "c", "input": "x"}}]}'
)
EVENT = (
    b'{"name":"Go","pack":{"id":"P","name":"P","labels":{}},"payload":1,'
    b'"created_at":"2026-11-23T20:00:00Z","received_at":"2026-11-23T20:00:00Z"}'
)
HEADERS = {"content-type": "application/json"}


def work(store: str, seconds: float) -> list[float]:
    """Run one-step flows; returns how long each took, from its event to its result."""
    logging.disable()
    flyte = EmbeddedFlyte(store)
    app = DirectApp(flyte.router)

    def call(target: str, body: bytes) -> bytes:
        answer = app.answer(BASE, "POST", target, HEADERS, body)
        if answer.status >= 300:
            raise RuntimeError(answer.body)
        return answer.body

    took = []
    until = time.monotonic() + seconds
    while (begin := time.monotonic()) < until:
        call("/v1/packs/P/events", b'{"event": "Go", "payload": 1}')
        if taken := call("/v1/packs/P/actions/take", b"null"):
            href = msgspec.json.decode(taken)["links"][0]["href"]
            call(href.removeprefix(BASE), b'{"event": "Done", "payload": 1}')
            took.append(time.monotonic() - begin)
    flyte.close()
    return took


def prepare(store: str, stored: int) -> None:
    """A pack, a flow, and finished executions of the past."""
    flyte = EmbeddedFlyte(store)
    DirectApp(flyte.router).answer(BASE, "POST", "/v1/packs", HEADERS, b'{"name": "P"}')
    flyte.put_flow(FLOW, source="here")
    flyte.close()
    now = int(time.time() * 1000)
    database = open_database(store)

    def insert(db: Statements) -> None:
        numbers = range(1, stored + 1)
        db.executemany(
            "INSERT INTO event (number, document) VALUES (?, ?)", [(n, EVENT) for n in numbers]
        )
        db.executemany(
            "INSERT INTO execution (correlation_id, flow_uuid, flow_name, changed) "
            "VALUES (?, 'u', 'f', ?)",
            [(f"old{n}", now - stored + n) for n in numbers],
        )
        db.executemany(
            "INSERT INTO action (number, id, correlation_id, step_number, step_id, name, "
            "pack_name, pack_labels, state, states, input, context, trigger_event, result_event) "
            "VALUES (?, ?, ?, 0, '', 'c', 'P', '{}', 'SUCCESS', '[]', ?, ?, ?, ?)",
            [(n, f"a{n}", f"old{n}", b"1", b"{}", n, n) for n in numbers],
        )
        db.count_on("event")
        db.count_on("action")

    database.write(insert)
    database.close()


def measure(store: str, flytes: int) -> list[float]:
    """All durations of so many flytes at once."""
    command = [sys.executable, "-m", "tests.benchmarks.stores", store]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(flytes)]
    return [each for it in running for each in msgspec.json.decode(it.communicate()[0])]


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/flyte.db"


def main() -> None:
    server = PostgresServer()
    server.stop()
    server.start(fsync="on", full_page_writes="on")
    kinds = {"SQLite": sqlite, "PostgreSQL": server.database}
    cases = [(0, flytes) for flytes in FLYTES] + [(stored, 1) for stored in STORED]
    reference = 0.0
    sys.stdout.write("| stored | flytes | store | flows/s, ratio | p50 ms | p99 ms |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    for stored, flytes in cases:
        for name, make in kinds.items():
            rates, took = [], []
            with make() as store:
                prepare(store, stored)
                for _ in range(RUNS):
                    run = measure(store, flytes)
                    rates.append(len(run) / SECONDS)
                    took += run
            rate = statistics.median(rates)
            reference = reference or rate
            took.sort()
            p50, p99 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
            row = f"| {stored:,} | {flytes} | {name} | {rate:.0f}, {rate / reference:.2f} "
            sys.stdout.write(f"{row}| {p50:.1f} | {p99:.1f} |\n")
            sys.stdout.flush()
    server.remove()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(msgspec.json.encode(work(sys.argv[1], SECONDS)).decode())
    else:
        main()
