"""PgBouncer between flyte and PostgreSQL: it works if it keeps sessions together."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.database import Statements
from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.embedded.conftest import EmbeddedCaller
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import PostgresServer

TABLE = ["CREATE TABLE a (x INTEGER PRIMARY KEY)"]


@pytest.fixture
def name(postgres: PostgresServer) -> Iterator[str]:
    with postgres.without_tables() as name:
        yield name


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_mixes_sessions_is_refused(
    postgres: PostgresServer, name: str, mode: str
) -> None:
    with pgbouncer(postgres, mode) as bouncer, pytest.raises(FlyteHostError) as caught:
        PostgresDatabase(bouncer.url(name), patience_seconds=0.5)
    assert str(caught.value) == (
        f"the store postgresql://flyte@/{name} is behind a pooler that does not keep a session "
        "together; flyte listens and prepares statements, so it needs PgBouncer's pool_mode = "
        "session, or PostgreSQL itself"
    )
    assert postgres.admin("SELECT to_regclass('schema_version')", name) == [(None,)]


def test_flytes_behind_a_pooler_tell_each_other(
    postgres: PostgresServer, name: str, step: Any
) -> None:
    """More statements than it takes until they are prepared, and one that listens."""
    hearer = Hearer()
    with pgbouncer(postgres, "session") as bouncer:
        one = EmbeddedFlyte(bouncer.url(name))
        other = EmbeddedFlyte(bouncer.url(name), waker=hearer)
        call = EmbeddedCaller(one)
        call.pack()
        call.flow(step("Go", "c"))
        for number in range(30):
            call.event("Go", number)
            action = call.take()
            assert action is not None
            assert call.finish(action, "Done") == 202
        wait_until(hearer.told.is_set, "the other one hears of an action")
        one.close()
        other.close()


def test_writers_live_through_restarts_of_the_pooler(postgres: PostgresServer, name: str) -> None:
    """Each write is stored once, whatever moment it is killed in."""
    until = threading.Event()
    with pgbouncer(postgres, "session") as bouncer:
        database = PostgresDatabase(bouncer.url(name), None, TABLE)

        def write(start: int) -> int:
            number = start
            while not until.is_set():
                assert database.write(insert(number)) == number
                number += 10
            return number

        def wait_for_more() -> None:
            goal = _count(postgres, name) + 20
            wait_until(lambda: _count(postgres, name) >= goal, "it writes")

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, start) for start in range(4)]
            try:
                for _ in range(3):
                    wait_for_more()
                    bouncer.kill()
                    bouncer.start()
                wait_for_more()
            finally:
                until.set()
            ends = [each.result(PATIENCE_SECONDS) for each in writing]
        database.close()
    expected = sorted(n for start, end in enumerate(ends) for n in range(start, end, 10))
    assert [n for (n,) in postgres.admin("SELECT x FROM a ORDER BY x", name)] == expected


class Hearer:
    def __init__(self) -> None:
        self.told = threading.Event()

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        assert (pack_name, labels) == ("P", {})
        self.told.set()


def insert(number: int) -> Any:
    def work(db: Statements) -> int:
        db.execute("INSERT INTO a VALUES (?)", (number,))
        return number

    return work


def _count(server: PostgresServer, name: str) -> int:
    [(count,)] = server.admin("SELECT count(*) FROM a", name)
    return int(str(count))
