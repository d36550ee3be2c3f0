"""Many callers at once: each action to one taker, each step once, each deletion once."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flyte_host.embedded.decision_writer import DELETE_EVENT
from flyte_host.embedded.executions import TAKE, TAKE_COMMAND
from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer

TAKERS = 8


def queue(call: Any, step: Any, actions: int) -> None:
    """Let ``actions`` actions wait, 100 to an event, numbered in their inputs."""
    steps = [step("Go", "c", input=f"{n}") for n in range(100)]
    call.flow(*steps)
    for _ in range(actions // 100):
        call.event("Go")


def drain(call: Any, ready: threading.Barrier) -> list[str]:
    ready.wait(PATIENCE_SECONDS)
    taken = []
    while action := call.take():
        taken.append(action["links"][0]["href"])
    return taken


@pytest.mark.parametrize("actions", [300, pytest.param(3000, marks=pytest.mark.soak)])
def test_8_takers_and_many_actions(start: Callable[..., Any], step: Any, actions: int) -> None:
    """Store: each action to exactly one taker; half of the takers are another connection's"""
    one, two = start(), start()
    one.pack()
    queue(one, step, actions)
    ready = threading.Barrier(TAKERS)
    with ThreadPoolExecutor(TAKERS) as pool:
        drains = [pool.submit(drain, (one, two)[n % 2], ready) for n in range(TAKERS)]
        taken = [drain.result(PATIENCE_SECONDS) for drain in drains]
    hrefs = [href for each in taken for href in each]
    assert len(hrefs) == actions
    assert len(set(hrefs)) == actions
    assert all(taken)


def explain(store: Path, query: str) -> list[Any]:
    """How SQLite would work on ``query``."""
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()


@pytest.mark.sqlite
def test_a_queue_of_another_instance_is_not_walked(call: Any, step: Any, store: Path) -> None:
    other = call.pack(labels={"env": "other"})
    far = step("Far", "far")
    far["command"]["packLabels"] = {"env": "other"}
    call.flow(*[far] * 100, step("Near", "near"))
    for _ in range(20):
        call.event("Far")
    call.event("Near")
    plan = explain(
        store,
        "SELECT min(pack_labels) FROM action "
        "WHERE state = 'NEW' AND pack_name = 'P' AND pack_labels > ''",
    )
    assert "SEARCH action USING" in plan[-1][3]
    assert call.take()["command"] == "near"
    assert call.take() is None
    assert call.take(other)["command"] == "far"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "where",
    [
        "state = 'NEW' AND pack_name = '' AND pack_labels = ''",
        "state = 'NEW' AND pack_name = '' AND pack_labels = '' AND name = ''",
    ],
)
def test_takes_use_an_index(call: Any, store: Path, where: str) -> None:
    plan = explain(store, f"SELECT min(number) FROM action WHERE {where}")
    assert "SEARCH action USING INDEX action_waiting" in plan[-1][3]


@pytest.mark.parametrize("command", ["", "c"])
def test_takes_from_postgres_use_an_index(postgres: PostgresServer, command: str) -> None:
    with postgres.database() as url, psycopg.connect(url) as connection:
        # The tables are empty: it would rather read them from one end to the other.
        connection.execute("SET enable_seqscan = off")
        take = TAKE_COMMAND if command else TAKE
        sql = take.format("FOR UPDATE SKIP LOCKED").replace("?", "''").encode()
        plan = str(connection.execute(b"EXPLAIN " + sql).fetchall())
    assert "using action_waiting" in plan
    assert "Sort" not in plan


def test_the_event_of_a_refused_result_is_found_by_an_index(postgres: PostgresServer) -> None:
    with postgres.database() as url, psycopg.connect(url) as connection:
        connection.execute("SET enable_seqscan = off")
        sql = DELETE_EVENT.format(PostgresDatabase.last_event).encode()
        plan = str(connection.execute(b"EXPLAIN " + sql).fetchall())
    assert "using event_pkey" in plan


def test_two_results_at_once_start_a_step_once(call: Any, step: Any) -> None:
    """3. A step runs at most once per execution: under concurrency too"""
    call.flow(
        *[step("Go", f"{n}", id=f"{n}") for n in range(TAKERS)],
        step("Done", "last", id="last", dependsOn=[f"{n}" for n in range(TAKERS)]),
        step("Done", "nameless", dependsOn=[f"{n}" for n in range(TAKERS)]),
        step("Done", "nameless", dependsOn=[f"{n}" for n in range(TAKERS)]),
    )
    rounds = 5
    for _ in range(rounds):
        call.event("Go")
        actions = [call.take() for _ in range(TAKERS)]
        ready = threading.Barrier(TAKERS)

        def finish(action: Any, ready: threading.Barrier = ready) -> int:
            ready.wait(PATIENCE_SECONDS)
            return int(call.finish(action, "Done"))

        with ThreadPoolExecutor(TAKERS) as pool:
            assert set(pool.map(finish, actions)) == {202}
        started = Counter(action["command"] for action in iter(call.take, None))
        assert started == {"last": 1, "nameless": 2}


def test_one_result_of_many_is_accepted(call: Any, step: Any) -> None:
    """2. A second result → 500; the first one stands"""
    call.flow(step("Go", "c"), step("Done", "next"))
    call.event("Go")
    action = call.take()
    with ThreadPoolExecutor(TAKERS) as pool:
        codes = list(pool.map(lambda _: call.finish(action, "Done"), range(TAKERS)))
    assert Counter(codes) == {202: 1, 500: TAKERS - 1}
    assert [action["command"] for action in iter(call.take, None)] == ["next"]


@pytest.mark.parametrize("kind", ["packs", "flows", "datastore"])
def test_concurrent_deletes(call: Any, step: Any, kind: str) -> None:
    call.flow(step("Go", "c"), name="P")
    call("PUT", "/v1/datastore/P", data={"value": (__file__, "x", "text/plain")})
    with ThreadPoolExecutor(TAKERS) as pool:
        answers = pool.map(lambda _: call("DELETE", f"/v1/{kind}/P").status_code, range(TAKERS))
    assert Counter(answers) == {204: 1, 404: TAKERS - 1}


def test_events_while_flows_change(call: Any, step: Any) -> None:
    """Every event meets some whole version of the flow, and none is lost"""
    call.flow(step("Go", "c", input="old"), step("Go", "c", input="old"))
    stop = threading.Event()

    def change() -> int:
        versions = 0
        while not stop.is_set():
            text = f"v{versions}"
            call.flow(step("Go", "c", input=text), step("Go", "c", input=text))
            versions += 1
        return versions

    with ThreadPoolExecutor(5) as pool:
        changing = pool.submit(change)
        list(pool.map(lambda _: call.event("Go"), range(100)))
        stop.set()
        assert changing.result(PATIENCE_SECONDS) > 1
    inputs = Counter(action["input"] for action in iter(call.take, None))
    assert inputs.total() == 200
    assert all(count % 2 == 0 for count in inputs.values())
