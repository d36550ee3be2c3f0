"""SQLite and PostgreSQL beside each other: ``python -m tests.benchmarks.stores``.

Each flyte is a process that raises events, takes actions and posts results by calling its own API,
without HTTP between: what is measured is the store. PostgreSQL flushes each commit to disk, SQLite
does not (``synchronous = NORMAL``). Every round runs all cases, so that the speed of the machine
cancels out of their ratios; only those carry over to other machines.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.database import Statements
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.direct_app import DirectApp
from flyte_host.postgres_address import is_postgres
from tests.support.postgres import PostgresServer

FLYTES = (1, 2, 4)
STORED = (10_000, 1_000_000)
CALLS = ("event", "take", "result")
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
HEAD = (
    "| stored | flytes | store | flows/s | times the reference | event ms, p50 and p99 "
    "| take | result |\n|---|---|---|---|---|---|---|---|\n"
)

Durations = dict[str, list[float]]
"""How long each call took, by :data:`CALLS`."""


@dataclass
class StoreCase:
    """The number of flytes on one store, and what each round measured."""

    kind: str
    store: str
    stored: int
    flytes: int
    rates: list[float] = field(default_factory=list)
    durations: Durations = field(default_factory=lambda: {call: [] for call in CALLS})

    def run(self, seconds: float) -> None:
        flows = 0
        for durations in measure(self.store, self.flytes, seconds):
            flows += len(durations["result"])
            for call in CALLS:
                self.durations[call] += durations[call]
        self.rates.append(flows / seconds)

    def row(self, reference: "StoreCase") -> str:
        ratio = median(a / b for a, b in zip(self.rates, reference.rates, strict=True))
        cells = [
            f"{self.stored:,}", self.flytes, self.kind, f"{median(self.rates):.0f}",
            f"{ratio:.2f}", *(percentiles(self.durations[call]) for call in CALLS),
        ]  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |\n"


def percentiles(durations: Sequence[float]) -> str:
    ordered = sorted(durations)
    p50, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99))
    return f"{p50:.1f}, {p99:.1f}"


def work(store: str, seconds: float) -> Durations:
    """Run one-step flows in turn: an event, a take, a result."""
    logging.disable()
    flyte = EmbeddedFlyte(store)
    app = DirectApp(flyte.router)
    took: Durations = {call: [] for call in CALLS}

    def call(name: str, target: str, body: bytes) -> bytes:
        begin = time.monotonic()
        answer = app.answer(BASE, "POST", target, HEADERS, body)
        took[name].append(time.monotonic() - begin)
        if answer.status >= 300:
            raise RuntimeError(answer.body)
        return answer.body

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        call("event", "/v1/packs/P/events", b'{"event": "Go", "payload": 1}')
        if taken := call("take", "/v1/packs/P/actions/take", b"null"):
            href = msgspec.json.decode(taken)["links"][0]["href"]
            call("result", href.removeprefix(BASE), b'{"event": "Done", "payload": 1}')
    flyte.close()
    return took


def prepare(store: str, stored: int) -> None:
    """A pack, a flow, and finished executions of the past."""
    flyte = EmbeddedFlyte(store)
    DirectApp(flyte.router).answer(BASE, "POST", "/v1/packs", HEADERS, b'{"name": "P"}')
    flyte.put_flow(FLOW, source="here")
    flyte.close()
    if not stored:
        return
    begin = int(time.time() * 1000) - stored
    numbers = (
        "WITH RECURSIVE numbers (n) AS "
        f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {stored}) "
    )

    def insert(db: Statements) -> None:
        db.execute(
            f"{numbers} INSERT INTO event (number, document) SELECT n, ? FROM numbers", (EVENT,)
        )
        db.execute(
            f"{numbers} INSERT INTO execution (correlation_id, flow_uuid, flow_name, changed) "
            f"SELECT 'old' || n, 'u', 'f', {begin} + n FROM numbers"
        )
        db.execute(
            f"{numbers} INSERT INTO action (number, id, correlation_id, step_number, step_id, "
            "name, pack_name, pack_labels, state, states, input, context, trigger_event, "
            "result_event) "
            "SELECT n, 'a' || n, 'old' || n, 0, '', 'c', 'P', '{}', 'SUCCESS', '[]', ?, ?, n, n "
            "FROM numbers",
            (b"1", b"{}"),
        )
        db.count_on("event")
        db.count_on("action")
        if is_postgres(store):
            db.execute("ANALYZE")  # as it does by itself a minute later

    database = open_database(store)
    database.write(insert)
    database.close()


def measure(store: str, flytes: int, seconds: float) -> list[Durations]:
    """What each of that many flytes measured at once."""
    command = [sys.executable, "-m", "tests.benchmarks.stores", "--work", store]
    command += ["--seconds", str(seconds)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(flytes)]
    return [msgspec.json.decode(each.communicate()[0], type=Durations) for each in running]


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/flyte.db"


def compare(stored: Sequence[int], seconds: float, rounds: int) -> str:
    """The table of all cases, the first of which is the reference."""
    server = PostgresServer()
    server.stop()
    server.start(fsync="on", full_page_writes="on", shared_buffers="512MB", max_wal_size="4GB")
    numbers = [(0, flytes) for flytes in FLYTES] + [(each, 1) for each in stored]
    cases: list[StoreCase] = []
    with ExitStack() as exits:
        exits.callback(server.remove)
        for number, flytes in numbers:
            for kind, make in {"SQLite": sqlite, "PostgreSQL": server.database}.items():
                store = exits.enter_context(make())
                prepare(store, number)
                cases.append(StoreCase(kind, store, number, flytes))
        for _ in range(rounds):
            for case in cases:
                case.run(seconds)
    return HEAD + "".join(case.row(cases[0]) for case in cases)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", metavar="STORE", help="be one of the flytes that are measured")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stored", type=int, nargs="*", default=STORED)
    options = parser.parse_args()
    if options.work:
        durations = work(options.work, options.seconds)
        sys.stdout.write(msgspec.json.encode(durations).decode())
    else:
        sys.stdout.write(compare(options.stored, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
