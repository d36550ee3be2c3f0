"""What a store in PostgreSQL lives through: lost connections, restarts, standbys, many openers."""

import logging
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.commit_marks import MarkedWriter
from flyte_host.embedded.database import Statements
from flyte_host.embedded.database_time import DatabaseTime
from flyte_host.embedded.postgres_database import PostgresDatabase, read_rows
from flyte_host.embedded.postgres_schema import MIGRATIONS
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.secrets import SecretMissing
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.embedded.conftest import EmbeddedCaller
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.postgres import WITH_PASSWORD, PostgresServer

TABLE = ["CREATE TABLE a (x INTEGER PRIMARY KEY)"]
TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    with postgres.without_tables() as name:
        yield postgres.url(name)


@pytest.fixture
def database(url: str) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(url, None, TABLE, patience_seconds=PATIENCE_SECONDS)
    yield database
    database.close()


@pytest.fixture(scope="module")
def own_server(postgres_files: Path) -> Iterator[PostgresServer]:
    """A server that tests may stop."""
    server = PostgresServer(postgres_files)
    yield server
    server.remove()


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(own_server.url(own_server.create()), migrations=TABLE)
    yield database
    database.close()


def insert(number: int) -> Any:
    def work(db: Statements) -> int:
        db.execute("INSERT INTO a VALUES (?)", (number,))
        return number

    return work


def database_name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def terminate(url: str) -> int:
    """End all connections to the database but our own."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(TERMINATE).fetchone()
    return row[0] if row else 0


def stored(database: PostgresDatabase) -> list[int]:
    return [number for (number,) in database.rows("SELECT x FROM a ORDER BY x")]


def test_connections_that_were_ended_are_made_again(database: PostgresDatabase, url: str) -> None:
    for number in range(3):
        assert database.write(insert(number)) == number
        assert terminate(url) >= 1
        assert database.row("SELECT count(*) FROM a") == (number + 1,)
        assert terminate(url) >= 1
    assert stored(database) == [0, 1, 2]


def test_a_transaction_that_is_cut_off_runs_again(database: PostgresDatabase, url: str) -> None:
    runs = []

    def work(db: Statements) -> str:
        db.execute("INSERT INTO a VALUES (1)")
        runs.append(1)
        if len(runs) == 1:
            terminate(url)
        db.execute("INSERT INTO a VALUES (2)")
        return "done"

    assert database.write(work) == "done"
    assert len(runs) == 2
    assert stored(database) == [1, 2]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_commit_without_an_answer_is_done_once(
    postgres: PostgresServer, database: PostgresDatabase, url: str, cut: Cut
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        proxy = CuttingProxy(Path(folder), postgres.folder)
        with proxy.running():
            between = PostgresDatabase(url.replace(str(postgres.folder), folder), None, TABLE)
            proxy.cut = cut
            assert between.write(insert(7)) == 7
            assert proxy.cuts == 1
            between.close()
    assert stored(database) == [7]


def insert_and_announce(number: int) -> Any:
    def work(db: Statements) -> None:
        db.announce([f"{number} is there"])
        db.execute("INSERT INTO a VALUES (?)", (number,))

    return work


@pytest.fixture
def heard(database: PostgresDatabase) -> list[str]:
    """What ``database`` hears of others."""
    heard: list[str] = []
    database.listen(heard.append)
    wait_until(lambda: heard, "it listens")
    heard.clear()
    return heard


def test_what_is_not_committed_is_not_announced(
    database: PostgresDatabase, heard: list[str], url: str
) -> None:
    other = PostgresDatabase(url, None, TABLE)
    other.listen(lambda _: None)
    database.write(insert(1))
    with pytest.raises(psycopg.errors.UniqueViolation):
        other.write(insert_and_announce(1))
    other.write(insert_and_announce(2))
    wait_until(lambda: heard, "the second one is announced")
    assert heard == ["2 is there"]
    other.close()


def test_it_listens_again_after_a_failure(
    database: PostgresDatabase, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        if text == "1 is there":
            raise RecursionError

    database.listen(hear)
    wait_until(lambda: heard == [""], "it listens")
    other = PostgresDatabase(url, None, TABLE)
    other.listen(lambda _: None)
    other.write(insert_and_announce(1))
    wait_until(lambda: heard == ["", "1 is there", ""], "it listens again")
    other.write(insert_and_announce(2))
    wait_until(lambda: heard[3:] == ["2 is there"], "the second one is heard")
    assert "thread 'store listener' was ended by RecursionError: restarting it" in caplog.text
    other.close()


def test_a_commit_without_an_answer_is_announced(
    postgres: PostgresServer, database: PostgresDatabase, heard: list[str], url: str
) -> None:
    """As soon as it is known that it happened."""
    with tempfile.TemporaryDirectory() as folder:
        proxy = CuttingProxy(Path(folder), postgres.folder)
        with proxy.running():
            between = PostgresDatabase(url.replace(str(postgres.folder), folder), None, TABLE)
            between.listen(lambda _: None)
            proxy.cut = Cut.AFTER
            between.write(insert_and_announce(7))
            assert proxy.cuts == 1
            wait_until(lambda: heard, "the commit is announced")
            assert heard == ["7 is there"]
            between.close()
    assert stored(database) == [7]


def test_a_commit_lost_in_a_crash_is_told_from_one_with_its_number(
    own_server: PostgresServer, own_database: PostgresDatabase
) -> None:
    """After a crash PostgreSQL uses numbers of transactions again that are written nowhere."""
    own_server.stop()
    own_server.start(wal_writer_delay="10s")  # nothing is written before a commit
    url = own_server.url(own_database.row("SELECT current_database()")[0])

    def crash() -> None:
        own_server.stop(signal.SIGQUIT)
        own_server.start()
        for number in range(100, 110):
            own_database.write(insert(number))

    with tempfile.TemporaryDirectory() as folder:
        proxy = CuttingProxy(Path(folder), own_server.folder)
        with proxy.running():
            between = PostgresDatabase(
                url.replace(str(own_server.folder), folder), None, TABLE,
                patience_seconds=PATIENCE_SECONDS,
            )  # fmt: skip
            proxy.cut, proxy.meanwhile = Cut.BEFORE, crash
            assert between.write(insert(7)) == 7
            between.close()
    assert proxy.cuts == 1
    assert stored(own_database) == [7, *range(100, 110)]


def test_a_commit_that_arrives_late_does_not_happen(
    postgres: PostgresServer, database: PostgresDatabase, url: str
) -> None:
    """Once it is known that a transaction did not happen, it runs again: never both."""

    def insert_and_wait(db: Statements) -> int:
        # The server has the row before the commit is held back.
        return db.execute("INSERT INTO a VALUES (7)").rowcount

    def wait_for_second_run() -> None:
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        wait_until(lambda: database.rows(waiting), "the second run waits for the first one")

    with tempfile.TemporaryDirectory() as folder:
        proxy = CuttingProxy(Path(folder), postgres.folder)
        with proxy.running():
            between = PostgresDatabase(url.replace(str(postgres.folder), folder), None, TABLE)
            between.write(insert(1))
            proxy.cut, proxy.meanwhile = Cut.LATE, wait_for_second_run
            assert between.write(insert_and_wait) == 1
            between.close()
    assert proxy.cuts == 1
    assert stored(database) == [1, 7]


def test_a_commit_on_its_way_is_waited_for(database: PostgresDatabase, url: str) -> None:
    writer = MarkedWriter()
    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url) as other:
        one.execute("BEGIN")
        one.execute("INSERT INTO a VALUES (1)")
        with one.pipeline():
            writer.commit(one)
        one.execute("BEGIN")
        one.execute("SELECT 1 FROM writer FOR UPDATE")
        assert writer.settle(other, 0.01) is None
    assert stored(database) == [1]


def test_a_server_that_never_heard_of_a_writer_commits(database: PostgresDatabase) -> None:
    """A standby took over that lacks the last transactions."""
    database.write(insert(1))
    database.write(lambda db: db.execute("UPDATE writer SET mark = 0"))
    assert database.write(insert(2)) == 2
    database.write(lambda db: db.execute("DELETE FROM writer"))
    assert database.write(insert(3)) == 3
    assert stored(database) == [1, 2, 3]


def test_what_writes_nothing_leaves_no_mark(database: PostgresDatabase) -> None:
    assert database.write(lambda db: db.execute("SELECT 1").fetchone()) == (1,)
    assert database.rows("SELECT * FROM writer") == []


def test_rows_of_writers_that_are_gone_are_removed(url: str) -> None:
    for expected in (1, 2, 1):
        database = PostgresDatabase(url, None, TABLE)
        database.write(insert(secrets.randbits(30)))
        assert database.row("SELECT count(*) FROM writer") == (expected,)
        if expected == 2:
            database.rows("UPDATE writer SET marked = now() - interval '2 days' RETURNING id")
        database.close()


def wait_for_rows(database: PostgresDatabase, number: int) -> None:
    wait_until(lambda: len(stored(database)) >= number, f"{number} rows")


def test_the_server_notices_that_a_client_vanished(own_server: PostgresServer) -> None:
    """What it had locked would stay locked for hours: so long does TCP wait by itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own_server.stop()
    own_server.start(listen_addresses="127.0.0.1", port=str(port))
    name = own_server.create()
    database = PostgresDatabase(f"postgresql://flyte@127.0.0.1:{port}/{name}", None, TABLE)
    settings = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    assert [database.row(f"SHOW {each}") for each in settings] == [("10",), ("3",), ("3",)]
    database.close()
    own_server.stop()
    own_server.start()


def test_writers_live_through_restarts(
    own_server: PostgresServer, own_database: PostgresDatabase
) -> None:
    """Each write is stored once, whatever moment the server stops in."""
    until = threading.Event()

    def write(start: int) -> int:
        number = start
        while not until.is_set():
            assert own_database.write(insert(number)) == number
            number += 10
        return number

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, start) for start in range(4)]
        for how in (signal.SIGINT, signal.SIGQUIT):
            wait_for_rows(own_database, len(stored(own_database)) + 20)
            own_server.stop(how)
            own_server.start()
        until.set()
        ends = [each.result(PATIENCE_SECONDS) for each in writing]
    assert stored(own_database) == sorted(
        number for start, end in enumerate(ends) for number in range(start, end, 10)
    )


def test_a_database_that_is_away_is_told_and_comes_back(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.embedded")
    with own_server.database() as url:
        flyte = EmbeddedFlyte(url)
        flyte._database._connections.patience_seconds = 0.2  # type: ignore[attr-defined]
        call = EmbeddedCaller(flyte)
        call.pack()
        own_server.stop()
        for method, path in (("GET", "/v1/packs"), ("POST", "/v1/packs/P/actions/take")):
            answer = call(method, path)
            assert answer.status_code == 503
            words = answer.get_json()["error"]
            assert words.startswith("the store is away: connection to server ")
            assert words.count("fail") == 1, "the server's words once, without libpq's question"
            assert "?" not in words
        assert call("GET", "/packs", headers={"Accept": "text/html"}).status_code == 503
        with pytest.raises(StoreAway, match=r"^the store is away: "):
            flyte.store_bytes()
        own_server.start()
        wait_until(lambda: call("GET", "/v1/packs").status_code == 200, "it is back")
        assert flyte.store_bytes() > 0
        assert call.take() is None
        flyte.close()
    told = [each for each in caplog.messages if each.startswith("the store postgresql://flyte@/")]
    assert len(told) == 2
    assert "is away: " in told[0]
    assert "is back after " in told[1]


def test_flyte_stops_while_its_database_is_away(own_server: PostgresServer) -> None:
    with own_server.database() as url:
        flyte = EmbeddedFlyte(url)
        flyte._database._connections.patience_seconds = 0.2  # type: ignore[attr-defined]
        call = EmbeddedCaller(flyte)
        call.pack()
        call.take()  # it has been seen, which is not stored yet
        own_server.stop()
        flyte.close()
        own_server.start()


def test_a_database_that_only_reads_is_away(postgres: PostgresServer, url: str) -> None:
    """As a standby is, or a primary that became one."""
    database = PostgresDatabase(url, None, TABLE, patience_seconds=0.2)
    name = database_name(url)
    postgres.admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    terminate(url)
    with pytest.raises(StoreAway, match="session is read-only"):
        database.write(insert(1))
    with pytest.raises(FlyteHostError, match=r"cannot be used: .*session is read-only; expected"):
        PostgresDatabase(url)
    postgres.admin(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert wait_until(lambda: _writes(database, 2), "it writes") == 2
    database.close()


def _writes(database: PostgresDatabase, number: int) -> int:
    try:
        return int(database.write(insert(number)))
    except StoreAway:
        return 0


def test_transactions_in_each_others_way_both_happen(database: PostgresDatabase) -> None:
    database.write(insert(1))
    database.write(insert(2))
    met = threading.Barrier(2)

    def change(first: int, second: int) -> int:
        runs = []

        def work(db: Statements) -> None:
            runs.append(1)
            assert db.execute("UPDATE a SET x = x + 10 WHERE x % 10 = ?", (first,)).rowcount == 1
            if len(runs) == 1:
                met.wait(PATIENCE_SECONDS)
            db.execute("UPDATE a SET x = x + 10 WHERE x % 10 = ?", (second,))

        database.write(work)
        return len(runs)

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(change, 1, 2), pool.submit(change, 2, 1)]
        assert sum(each.result(PATIENCE_SECONDS) for each in runs) > 2
    assert stored(database) == [21, 22]


def test_a_statement_that_fails_leaves_nothing(database: PostgresDatabase) -> None:
    def work(db: Statements) -> None:
        db.execute("INSERT INTO a VALUES (1)")
        db.execute("INSERT INTO a VALUES (1)")

    with pytest.raises(psycopg.errors.UniqueViolation):
        database.write(work)
    with pytest.raises(psycopg.errors.UndefinedTable):
        database.rows("SELECT * FROM nowhere")
    assert stored(database) == []


def test_transactions_that_fail_often_do_not_spoil_a_connection(database: PostgresDatabase) -> None:
    """What a failed one was about to prepare does not exist, and is prepared again."""

    def work(db: Statements) -> None:
        db.execute("INSERT INTO a VALUES (1)")
        db.execute("UPDATE a SET x = x")

    database.write(work)
    for _ in range(20):
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.write(work)
    database.write(lambda db: db.execute("DELETE FROM a"))
    database.write(work)
    assert stored(database) == [1]


def test_one_process_migrates_and_others_wait(url: str) -> None:
    ready = threading.Barrier(4)

    def opened() -> int:
        ready.wait(PATIENCE_SECONDS)
        database = PostgresDatabase(url)
        (count,) = database.row("SELECT count(*) FROM pack")
        database.close()
        return int(count)

    with ThreadPoolExecutor(4) as pool:
        opening = [pool.submit(opened) for _ in range(4)]
        assert [each.result(PATIENCE_SECONDS) for each in opening] == [0] * 4


def test_an_older_schema_is_brought_up_and_a_newer_one_refused(url: str) -> None:
    PostgresDatabase(url, None, TABLE).close()
    newer = PostgresDatabase(url, None, [*TABLE, "ALTER TABLE a ADD COLUMN y INTEGER"])
    newer.write(lambda db: db.execute("INSERT INTO a (x, y) VALUES (1, 2)"))
    newer.close()
    with pytest.raises(FlyteHostError, match="has schema 2, this flyte-host knows up to 1; use"):
        PostgresDatabase(url, None, TABLE)


@pytest.mark.parametrize("order", [(1, 2, 1, 2), (2, 2, 1, 1)])
def test_of_two_versions_at_once_the_newer_one_wins(url: str, order: Sequence[int]) -> None:
    scripts = [*TABLE, "ALTER TABLE a ADD COLUMN y INTEGER"]
    ready = threading.Barrier(len(order))

    def opened(version: int) -> str:
        ready.wait(PATIENCE_SECONDS)
        try:
            PostgresDatabase(url, None, scripts[:version]).close()
        except FlyteHostError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(order)) as pool:
        problems = list(pool.map(opened, order, timeout=PATIENCE_SECONDS))
    for version, problem in zip(order, problems, strict=True):
        assert not problem or (version == 1 and "has schema 2, this flyte-host knows" in problem)
    with pytest.raises(FlyteHostError, match="has schema 2"):
        PostgresDatabase(url, None, TABLE)


def test_a_flyte_goes_on_while_a_newer_one_migrates(url: str, step: Any) -> None:
    flyte = EmbeddedFlyte(url)
    call = EmbeddedCaller(flyte)
    call.pack()
    call.flow(step("Go", "c"))
    done: list[int] = []
    until = threading.Event()

    def run() -> None:
        while not until.is_set():
            call.event("Go")
            if (action := call.take()) is not None:
                done.append(call.finish(action, "Done"))

    def wait_for_more() -> None:
        goal = len(done) + 30
        wait_until(lambda: len(done) >= goal, "it continues")

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(run) for _ in range(3)]
        try:
            wait_for_more()
            newer = [*MIGRATIONS, "ALTER TABLE action ADD COLUMN more TEXT NOT NULL DEFAULT ''"]
            PostgresDatabase(url, None, newer).close()
            wait_for_more()
        finally:
            until.set()
        for each in running:
            each.result(PATIENCE_SECONDS)
    assert set(done) == {202}
    flyte.close()


def test_a_broken_migration_changes_nothing(url: str) -> None:
    with pytest.raises(FlyteHostError, match="cannot be used: syntax error"):
        PostgresDatabase(url, None, [*TABLE, "CREATE TABLE b (x INTEGER); BROKEN"])
    PostgresDatabase(url, None, [*TABLE, "CREATE TABLE b (x INTEGER)"]).close()


def test_a_query_before_the_first_start_finds_nothing(url: str) -> None:
    select = "SELECT name FROM flow"
    assert read_rows(url, None, "flow", select) == []
    database = PostgresDatabase(url, None, MIGRATIONS)
    database.write(lambda db: db.execute("INSERT INTO flow (name, uuid) VALUES ('f', 'u')"))
    database.close()
    assert read_rows(url, None, "flow", select) == [("f",)]


def test_a_password_is_read_at_each_connection_and_never_shown(
    postgres: PostgresServer, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    postgres.admin(f"CREATE ROLE {WITH_PASSWORD} LOGIN SUPERUSER PASSWORD 'first-secret'")
    guarded = url.replace("flyte@", f"{WITH_PASSWORD}@")
    said = ["wrong-secret"]
    with pytest.raises(FlyteHostError) as caught:
        PostgresDatabase(guarded, lambda: said[-1], TABLE)
    assert "password authentication failed" in str(caught.value)
    said.append("first-secret")
    database = PostgresDatabase(guarded, lambda: said[-1], TABLE)
    postgres.admin(f"ALTER ROLE {WITH_PASSWORD} PASSWORD 'second-secret'")
    said.append("second-secret")
    terminate(url)
    assert database.write(insert(1)) == 1
    database.close()
    postgres.admin(f"REASSIGN OWNED BY {WITH_PASSWORD} TO flyte", database_name(url))
    postgres.admin(f"DROP ROLE {WITH_PASSWORD}")
    assert "secret" not in caplog.text + str(caught.value)


def test_a_password_that_is_missing_is_told(url: str) -> None:
    def missing() -> str:
        raise SecretMissing("the environment variable X is not set, expected a secret")

    with pytest.raises(FlyteHostError, match="the environment variable X is not set"):
        PostgresDatabase(url, missing)


@pytest.mark.parametrize("wrong", ["postgresql://h:x/", "postgresql://h/?nonsense=1"])
def test_a_url_that_cannot_be_used(wrong: str) -> None:
    with pytest.raises(FlyteHostError, match=r"^the store postgresql://.* cannot be used: "):
        PostgresDatabase(wrong)


def test_text_with_nul_is_stored_with_another_character(start: Any, step: Any) -> None:
    call = start()
    call.pack("A\0")
    call.flow(step("Go", "c\0", id="i\0"), name="f\0")
    assert call("GET", "/v1/packs/A%00").get_json()["name"] == "A\ufffd"
    assert call("GET", "/v1/flows/f%00").status_code == 200


def test_the_time_is_that_of_the_database() -> None:
    elapsed = [100.0]
    time = DatabaseTime(lambda: elapsed[0])
    time.set(1_700_000_000_000_000)
    elapsed[0] += 1.5
    assert time.now().timestamp() == 1_700_000_001.5


def test_a_clock_agrees_with_the_database(database: PostgresDatabase) -> None:
    (seconds,) = database.row("SELECT extract(epoch FROM clock_timestamp())::float")
    assert abs(database.clock().now().timestamp() - seconds) < PATIENCE_SECONDS


def test_nobody_sweeps_beside_another(database: PostgresDatabase) -> None:
    def outer(db: Statements) -> tuple[bool, bool]:
        return db.try_lock("sweep"), database.write(lambda other: other.try_lock("sweep"))

    assert database.write(outer) == (True, False)
    assert database.write(lambda db: db.try_lock("sweep"))
