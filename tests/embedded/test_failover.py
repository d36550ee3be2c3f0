"""A PostgreSQL and its synchronous standby, which takes over: flyte continues and loses nothing."""

import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.embedded.conftest import EmbeddedCaller
from tests.support.postgres import PostgresServer


@pytest.fixture
def primary(postgres_files: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(postgres_files)
    yield server
    server.remove()


@pytest.fixture
def standby(primary: PostgresServer, postgres_files: Path) -> Iterator[PostgresServer]:
    """Whatever the primary has answered can be read here too."""
    server = PostgresServer(postgres_files, primary=primary.folder)
    primary.admin("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
    primary.admin("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.admin("SELECT pg_reload_conf()")
    state = "SELECT sync_state FROM pg_stat_replication"
    wait_until(lambda: primary.admin(state) == [("sync",)], "the primary waits for the standby")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def standby_alone(postgres_files: Path, tmp_path_factory: Any) -> Iterator[PostgresServer]:
    """One whose primary is gone, and that no test promotes."""
    server = PostgresServer(postgres_files, primary=tmp_path_factory.mktemp("gone"))
    yield server
    server.remove()


@pytest.fixture
def call(primary: PostgresServer, standby: PostgresServer, step: Any) -> Iterator[EmbeddedCaller]:
    """A flyte that has both servers in the URL of its store, a pack and a flow."""
    flyte = EmbeddedFlyte(primary.url(primary.create(), standby))
    call = EmbeddedCaller(flyte)
    call.pack()
    call.flow(step("Go", "c"))
    yield call
    flyte.close()


def set_patience(call: EmbeddedCaller, seconds: float) -> None:
    call.flyte._database._connections.patience_seconds = seconds  # type: ignore[attr-defined]


def fail_over(primary: PostgresServer, standby: PostgresServer) -> None:
    primary.stop(signal.SIGQUIT)
    standby.promote()


class Ledger:
    """Runs one-step flows in turn, and keeps what flyte has answered."""

    def __init__(self, call: EmbeddedCaller) -> None:
        self._call = call
        self.events = 0
        self.taken: list[str] = []
        self.finished: list[str] = []

    def run(self, until: threading.Event) -> None:
        while not until.is_set():
            self._call.event("Go")
            self.events += 1
            if (action := self._call.take()) is not None:
                taken = action["links"][0]["href"].split("/")[-2]
                self.taken.append(taken)
                assert self._call.finish(action, "Done") == 202
                self.finished.append(taken)


def test_what_was_answered_outlives_the_primary(
    call: EmbeddedCaller, primary: PostgresServer, standby: PostgresServer
) -> None:
    """Every request waits until the standby has taken over, and happens once."""
    set_patience(call, PATIENCE_SECONDS)
    until = threading.Event()
    ledgers = [Ledger(call) for _ in range(4)]

    def count() -> int:
        for each in running:
            if each.done():
                each.result()
        return sum(len(each.finished) for each in ledgers)

    def wait_for_more() -> None:
        goal = count() + 40
        wait_until(lambda: count() >= goal, "it continues")

    with ThreadPoolExecutor(len(ledgers)) as pool:
        running = [pool.submit(each.run, until) for each in ledgers]
        try:
            wait_for_more()
            fail_over(primary, standby)
            wait_for_more()
        finally:
            until.set()
        for each in running:
            each.result(PATIENCE_SECONDS)
    database = call.flyte._database
    states = dict(database.rows("SELECT id, state FROM action"))
    taken = Counter(action for each in ledgers for action in each.taken)
    assert len(states) == sum(each.events for each in ledgers)
    assert {action for action, state in states.items() if state == "SUCCESS"} == taken.keys()
    assert max(taken.values()) == 1
    assert set(states.values()) <= {"NEW", "SUCCESS"}


def test_the_log_says_that_the_primary_is_away_and_when_the_standby_is_there(
    call: EmbeddedCaller,
    primary: PostgresServer,
    standby: PostgresServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.embedded")
    set_patience(call, 0.2)
    call.event("Go")
    primary.stop(signal.SIGQUIT)
    answer = call("POST", "/v1/packs/P/actions/take")
    assert answer.status_code == 503
    problem = answer.get_json()["error"]
    assert problem.startswith("the store is away: ")
    assert problem.endswith(" failed: session is read-only"), "the standby's own words"
    assert "port" not in problem, "what psycopg adds"
    set_patience(call, PATIENCE_SECONDS)  # a busy machine must not make it away again
    standby.promote()
    wait_until(lambda: call("GET", "/v1/packs").status_code == 200, "it is back")
    assert (call.take() or {})["command"] == "c"
    away, back = [each for each in caplog.messages if each.startswith("the store postgresql://")]
    assert "is away: " in away
    assert "is back after " in back


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "session is read-only"),
        ("&target_session_attrs=any", "cannot execute .* in a read-only transaction"),
    ],
)
def test_a_standby_alone_is_refused(standby_alone: PostgresServer, more: str, words: str) -> None:
    with pytest.raises(FlyteHostError, match=f"cannot be used: .*{words}.*may write to"):
        PostgresDatabase(standby_alone.url("postgres") + more)


def test_flyte_does_not_start_on_a_standby_alone(
    standby_alone: PostgresServer, flyte_host: Any
) -> None:
    store = standby_alone.url("postgres")
    done = flyte_host("flyte", "--listen", "127.0.0.1:0", "--store", store)
    assert done.returncode == 1
    assert "failed: session is read-only; expected a PostgreSQL database" in done.stderr
