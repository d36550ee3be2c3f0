"""What it costs to see what happened: lists over many executions, and keeping decisions.

``python -m tests.benchmarks.seeing [--executions N] [--rounds N]`` prints seconds until lists of a
store with that many executions are there, each beside the same list of an almost empty store, and
which part of an event's time it takes to keep steps that did not run, with the reasons.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests

from flyte_host.client.configured_conversation import make_conversation
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.wire import encode_event
from flyte_host.clock import Clock
from flyte_host.config import EmbeddedConfig, FlyteConfig
from flyte_host.counters import Counters
from flyte_host.embedded import EmbeddedFlyte, steps
from flyte_host.embedded.decision_log import DecisionLog
from flyte_host.embedded.direct_app import DirectApp
from flyte_host.host.embedded_server import EmbeddedServer
from flyte_host.model import EventDef, Registration
from flyte_host.secrets import Scrubber

FLOWS = 20
EVENTS = 500
LIMIT_SECONDS = 300.0
JSON = {"content-type": "application/json"}
PAGES = {
    "the list": "/executions",
    "one flow of it": "/executions?flow=flow-7",
    "one pack of it": "/executions?pack=P",
    "a state that few have": "/executions?state=FATAL",
    "a text that none has": "/executions?text=nobody-wrote-this",
    "page 200 of it": "/executions?start=10000",
    "the overview": "/",
    "a flow": "/flows/flow-7",
}


def step(name: str, **more: Any) -> dict[str, Any]:
    event = {"packName": "P", "name": "Go"}
    command = {"packName": "P", "name": "run", "input": "{{ Event.Payload.who }}"}
    return {"id": name, "event": event, "command": command} | more


class ApiOfFlyte:
    """The API of a flyte in this process."""

    def __init__(self, flyte: EmbeddedFlyte) -> None:
        self._app = DirectApp(flyte.router)

    def __call__(self, path: str, document: Any) -> Any:
        body = json.dumps(document).encode()
        answer = self._app.answer("http://x", "POST", path, JSON, body)
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {answer.body.decode()}")
        return json.loads(answer.body or b"null")


def fill(store: Path, executions: int) -> None:
    """Let flyte run each flow, then copy its rows until there are enough."""
    flyte = EmbeddedFlyte(store)
    call = ApiOfFlyte(flyte)
    call("/v1/packs", {"name": "P", "commands": [{"name": "run", "events": ["Ran"]}]})
    for number in range(FLOWS):
        call("/v1/flows", {"name": f"flow-{number}", "steps": [step("a"), step("b")]})
    call("/v1/packs/P/events", {"event": "Go", "payload": {"who": "Ada"}})
    while (taken := call("/v1/packs/P/actions/take", None)) is not None:
        path = taken["links"][0]["href"].removeprefix("http://x")
        call(path, {"event": "Ran", "payload": {"hello": "Ada"}})
    flyte.close()
    with closing(sqlite3.connect(store)) as db, db:
        for copy in range(1, max(1, executions // FLOWS)):
            _copy_rows(db, copy)


def _copy_rows(db: sqlite3.Connection, copy: int) -> None:
    """All that the first event made, once more, and a moment earlier."""
    if copy == 1:
        db.execute("CREATE TEMP TABLE first AS SELECT * FROM execution")
        db.execute("CREATE TEMP TABLE acted AS SELECT * FROM action")
    begin = f"printf('%06x', {copy})"  # an id sorts by time, and these are older ones
    db.execute(
        f"INSERT INTO execution SELECT {begin} || substr(correlation_id, 7), "
        f"flow_uuid, flow_name, changed - {copy}, revision FROM first"
    )
    columns = (
        "step_number, step_id, name, pack_name, pack_labels, state, states, input, context, "
        "trigger_event, result_event"
    )
    db.execute(
        f"INSERT INTO action (id, correlation_id, {columns}) "
        f"SELECT {begin} || substr(id, 7), {begin} || substr(correlation_id, 7), {columns} "
        "FROM acted"
    )


@contextmanager
def serving(store: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(EmbeddedConfig("127.0.0.1:0", store))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def seconds_of(call: Callable[[], object], rounds: int) -> float:
    """The median, after a call that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return median(found)


def list_figures(store: Path, rounds: int) -> dict[str, float]:
    """Seconds until each list has come."""
    with serving(store) as server:

        def page(path: str) -> None:
            answer = requests.get(
                server.url + path, headers={"Accept": "text/html"}, timeout=LIMIT_SECONDS
            )
            answer.raise_for_status()

        def command(*arguments: str) -> None:
            subprocess.run(
                [sys.executable, "-m", "flyte_host", "executions", "list", *arguments,
                 "--url", server.url],
                check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS,
            )  # fmt: skip

        figures = {
            f"page: {name}": seconds_of(lambda path=path: page(path), rounds)  # type: ignore[misc]
            for name, path in PAGES.items()
        }
        figures["command: executions list"] = seconds_of(command, rounds)
        figures["command: executions list --flow flow-7"] = seconds_of(
            lambda: command("--flow", "flow-7"), rounds
        )
    return figures


class Stopwatch:
    """How long each call of some functions takes."""

    def __init__(self) -> None:
        self._nanoseconds: dict[str, list[int]] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        found = self._nanoseconds.setdefault(name, [])

        def call(*args: Any, **more: Any) -> Any:
            began = time.perf_counter_ns()
            try:
                return function(*args, **more)
            finally:
                found.append(time.perf_counter_ns() - began)

        return call

    def usual(self, name: str) -> float:
        """The median: a call that other load interrupted says nothing."""
        return median(self._nanoseconds[name])


def cost_of_decisions(events: int) -> float:
    """Which part of the time of an event it takes to keep why one of its two steps did not run.

    Measured in each event itself: the difference between two runs would drown in other load.
    """
    with TemporaryDirectory(prefix="flyte-bench-") as folder:
        watch, kept = Stopwatch(), {}
        for home, name in ((steps, "values_read"), (DecisionLog, "keep")):
            kept[home, name] = getattr(home, name)
            setattr(home, name, watch.timed(name, getattr(home, name)))
        try:
            flyte = _flyte(Path(folder) / "flyte.db")
            _raise_events(flyte, events, watch)
            flyte.close()
        finally:
            for (home, name), function in kept.items():
                setattr(home, name, function)
    return (watch.usual("values_read") + watch.usual("keep")) / watch.usual("event")


def _flyte(store: Path) -> EmbeddedFlyte:
    flyte = EmbeddedFlyte(store)
    call = ApiOfFlyte(flyte)
    call("/v1/packs", {"name": "P", "commands": [{"name": "run"}]})
    false = step("b", criteria="{{ Event.Payload.who == 'Bob' && Event.Payload.age > 7 }}")
    call("/v1/flows", {"name": "flow", "steps": [step("a"), false]})
    return flyte


def _raise_events(flyte: EmbeddedFlyte, events: int, watch: Stopwatch) -> None:
    """As a host raises them in embedded flyte."""
    app, url, clock = DirectApp(flyte.router), "http://127.0.0.1:1", Clock()
    conversation = make_conversation(
        FlyteConfig(url), url, Scrubber(), {}, clock=clock,
        application=lambda *request: app.answer(url, *request),
    )  # fmt: skip
    client = FlyteClient(conversation, Counters(), clock)
    registration = Registration("P", f"{url}/v1/packs/P/actions/take", f"{url}/v1/packs/P/events")
    body = encode_event(EventDef("Go")({"who": "Ada", "age": 36}), clock.now())
    post = watch.timed("event", client.post_event)
    for _ in range(events):
        post(registration, body)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="flyte-bench-") as folder:
        few, many = Path(folder) / "few.db", Path(folder) / "many.db"
        fill(few, FLOWS)
        fill(many, options.executions)
        small, large = list_figures(few, options.rounds), list_figures(many, options.rounds)
    width = max(map(len, large))
    lines = [f"{'seconds':<{width}}  {FLOWS:>9,}  {options.executions:>9,} executions"]
    lines += [f"{name:<{width}}  {small[name]:>9.3f}  {each:>9.3f}" for name, each in large.items()]
    cost = cost_of_decisions(EVENTS * options.rounds)
    lines.append(f"keeping decisions takes {cost:.1%} of an event")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
