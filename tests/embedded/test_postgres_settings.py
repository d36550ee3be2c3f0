"""A PostgreSQL with settings of its own, or one that has run out of something."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.database import Statements
from flyte_host.embedded.postgres_database import PostgresDatabase
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.embedded.conftest import EmbeddedCaller
from tests.support.postgres import PostgresServer

TABLE = ["CREATE TABLE a (x INTEGER PRIMARY KEY, t TEXT)"]
FAIL = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'it failed' USING ERRCODE = '{}'; END $$;
    CREATE TRIGGER failing BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION fail()
"""
MEND = "DROP FUNCTION fail CASCADE"


@pytest.fixture
def name(postgres: PostgresServer) -> Iterator[str]:
    with postgres.without_tables() as name:
        yield name


def open_short(url: str) -> PostgresDatabase:
    return PostgresDatabase(url, None, TABLE, patience_seconds=0.2)


def take_first(call: EmbeddedCaller, step: Any) -> Any:
    """An action that a flow has just queued."""
    call.pack()
    call.flow(step("Go", "c"))
    call.event("Go")
    action = call.take()
    assert action is not None
    return action


def insert(number: int) -> Any:
    def work(db: Statements) -> int:
        # It waits for the answer, as work does that decides by it.
        assert db.execute("INSERT INTO a VALUES (?, 'ж')", (number,)).rowcount == 1
        return number

    return work


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("statement_timeout", "canceling statement due to statement timeout"),
        ("lock_timeout", "canceling statement due to lock timeout"),
    ],
)
def test_a_timeout_of_the_server_is_an_outage(
    postgres: PostgresServer, name: str, setting: str, words: str
) -> None:
    postgres.admin(f"ALTER DATABASE {name} SET {setting} = 100")
    database = open_short(postgres.url(name))
    with psycopg.connect(postgres.url(name)) as other:
        other.execute("LOCK TABLE a")
        with pytest.raises(StoreAway, match=words):
            database.write(insert(1))
        with pytest.raises(StoreAway, match=words):
            database.rows("SELECT x FROM a")
    assert database.write(insert(2)) == 2
    database.close()


def test_a_migration_has_no_time_limit(postgres: PostgresServer, name: str) -> None:
    for setting in ("statement_timeout", "lock_timeout"):
        postgres.admin(f"ALTER DATABASE {name} SET {setting} = 50")
    PostgresDatabase(postgres.url(name), None, [*TABLE, "SELECT pg_sleep(0.2)"]).close()


@pytest.mark.parametrize(
    "code", ["53100", "53200", "42501"], ids=["disk full", "out of memory", "not allowed"]
)
def test_a_server_that_cannot_is_an_outage(postgres: PostgresServer, name: str, code: str) -> None:
    database = open_short(postgres.url(name))
    postgres.admin(FAIL.format(code, "a"), name)
    with pytest.raises(StoreAway, match=r"^the store is away: it failed$"):
        database.write(insert(1))
    postgres.admin(MEND, name)
    assert database.write(insert(2)) == 2
    assert database.rows("SELECT x FROM a") == [(2,)]
    database.close()


def test_what_fails_after_all_else_is_looked_up(postgres: PostgresServer, name: str) -> None:
    """Nobody waited for the statement's answer, so the commit is on its way too."""
    database = open_short(postgres.url(name))
    postgres.admin(FAIL.format("53100", "a"), name)
    with pytest.raises(StoreAway, match="it failed"):
        database.write(lambda db: db.execute("INSERT INTO a VALUES (1)"))
    postgres.admin(MEND, name)
    assert database.rows("SELECT x FROM a") == []
    database.close()


def test_a_commit_that_fails_stores_nothing(postgres: PostgresServer, name: str) -> None:
    database = open_short(postgres.url(name))
    postgres.admin(
        FAIL.format("53100", "a")
        .replace("TRIGGER failing BEFORE", "CONSTRAINT TRIGGER failing AFTER")
        .replace("FOR EACH", "DEFERRABLE INITIALLY DEFERRED FOR EACH"),
        name,
    )
    for _ in range(3):
        with pytest.raises(StoreAway, match="it failed"):
            database.write(insert(1))
    postgres.admin(MEND, name)
    assert database.write(insert(2)) == 2
    assert database.rows("SELECT x FROM a") == [(2,)]
    database.close()


@pytest.mark.parametrize("waits", [True, False])
def test_a_value_too_large_for_the_server_is_not_an_outage(
    postgres: PostgresServer, name: str, waits: bool
) -> None:
    database = open_short(postgres.url(name))
    postgres.admin(FAIL.format("54000", "a"), name)
    work = insert(1) if waits else lambda db: db.execute("INSERT INTO a VALUES (1)")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        database.write(work)
    database.close()


def test_a_result_waits_while_the_disk_is_full(
    postgres: PostgresServer, name: str, step: Any
) -> None:
    """500 would tell hosts that only this result cannot be stored."""
    flyte = EmbeddedFlyte(postgres.url(name))
    flyte._database._connections.patience_seconds = 0.2  # type: ignore[attr-defined]
    call = EmbeddedCaller(flyte)
    action = take_first(call, step)
    postgres.admin(FAIL.format("53100", "event"), name)
    assert call.finish(action, "Done") == 503
    postgres.admin(MEND, name)
    assert call.finish(action, "Done") == 202
    flyte.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_another_isolation_level_is_not_ours(
    postgres: PostgresServer, name: str, level: str, step: Any
) -> None:
    """Of simultaneous takes each gets its own action, and none fails."""
    postgres.admin(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    flyte = EmbeddedFlyte(postgres.url(name))
    call = EmbeddedCaller(flyte)
    call.pack()
    call.flow(step("Go", "c"), step("Done", "last", id="last"))
    for _ in range(24):
        call.event("Go")
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda _: call.take(), range(24), timeout=PATIENCE_SECONDS))
        done = list(pool.map(lambda it: call.finish(it, "Done"), taken, timeout=PATIENCE_SECONDS))
    assert None not in taken
    assert done == [202] * 24
    flyte.close()


def test_order_times_and_bytes_are_the_same_whatever_the_server_prefers(
    postgres: PostgresServer, step: Any
) -> None:
    name = "with_settings"
    postgres.admin(
        f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    )
    for setting in (
        "timezone = 'Asia/Kolkata'", "datestyle = 'German'", "bytea_output = 'escape'",
        "standard_conforming_strings = off", "extra_float_digits = -15",
    ):  # fmt: skip
        postgres.admin(f"ALTER DATABASE {name} SET {setting}")
    seen = []
    for store in (postgres.url(name), ":memory:"):
        flyte = EmbeddedFlyte(store)
        call = EmbeddedCaller(flyte)
        for pack in ("b", "B", "ä", "_", "a\\'", "A"):
            call.pack(pack)
        call.pack()
        call.flow(step("Go", "c", input="{{ Event.Payload }}"))
        call.event("Go", "\\ ' ж")
        action = call.take()
        assert action is not None
        call("PUT", "/v1/datastore/k", data={"value": (__file__, "x", "text/plain")})
        names = [each["name"] for each in call("GET", "/v1/packs").get_json()["packs"]]
        seen.append((names, action["input"], call("GET", "/v1/datastore/k").data))
        now = flyte._database.clock().now()
        assert abs((now - datetime.now(UTC)).total_seconds()) < PATIENCE_SECONDS
        flyte.close()
    assert seen[0] == seen[1]
    postgres.drop(name)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding_is_refused(postgres: PostgresServer, encoding: str) -> None:
    name = f"with_{encoding.lower()}"
    postgres.admin(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
    with pytest.raises(FlyteHostError) as caught:
        open_short(postgres.url(name))
    assert str(caught.value) == (
        f"the store postgresql://flyte@/{name} has the encoding {encoding}, expected UTF8: create "
        "it with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    )
    postgres.drop(name)


def test_another_encoding_of_clients_is_not_ours(
    postgres: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    database = open_short(postgres.url(name))
    database.write(insert(1))
    assert database.rows("SELECT t FROM a") == [("ж",)]
    database.close()


def test_stores_in_two_schemas_of_a_database_do_not_hear_each_other(
    postgres: PostgresServer, name: str
) -> None:
    postgres.admin('CREATE SCHEMA one; CREATE SCHEMA "Other One"', name)
    paths = ("one%2Cpublic", "%22Other%5C%20One%22%2Cpublic", "one")
    urls = [f"{postgres.url(name)}&options=-csearch_path%3D{path}" for path in paths]
    one, other, beside = map(open_short, urls)
    heard: dict[str, list[str]] = {"other": [], "beside": []}
    one.listen(lambda _: None)
    other.listen(heard["other"].append)
    beside.listen(heard["beside"].append)
    wait_until(lambda: heard["other"] and heard["beside"], "both listen")
    other.write(insert(1))
    one.announce(["hello"])
    wait_until(lambda: "hello" in heard["beside"], "the one in the same schema hears it")
    assert heard["other"] == [""]
    assert one.rows("SELECT x FROM a") == []
    assert other.size_bytes() > 0
    for each in (one, other, beside):
        each.close()


def test_a_user_that_may_not_create_tables_runs_flows_on_those_of_another(
    postgres: PostgresServer, name: str, step: Any
) -> None:
    postgres.admin("CREATE ROLE lesser LOGIN")
    postgres.admin("REVOKE CREATE ON SCHEMA public FROM public", name)
    lesser = postgres.url(name).replace("flyte@", "lesser@")
    with pytest.raises(FlyteHostError, match="cannot be used: permission denied for schema public"):
        EmbeddedFlyte(lesser)
    EmbeddedFlyte(postgres.url(name)).close()
    for rights in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES"):
        postgres.admin(f"GRANT {rights} IN SCHEMA public TO lesser", name)
    flyte = EmbeddedFlyte(lesser)
    call = EmbeddedCaller(flyte)
    action = take_first(call, step)
    assert call.finish(action, "Done") == 202
    flyte.close()
    postgres.admin("DROP OWNED BY lesser", name)
    postgres.admin("DROP ROLE lesser")


def test_a_server_without_free_connections_delays_requests(
    own_server: PostgresServer,
) -> None:
    own_server.stop()
    own_server.start(max_connections="6", superuser_reserved_connections="0")
    name = own_server.create()
    database = PostgresDatabase(own_server.url(name), None, TABLE)
    others = [psycopg.connect(own_server.url(name)) for _ in range(4)]
    with ThreadPoolExecutor(12) as pool:
        written = list(pool.map(lambda n: database.write(insert(n)), range(100)))
    assert written == list(range(100))
    for each in others:
        each.close()
    database.close()


@pytest.fixture
def own_server(postgres_files: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(postgres_files)
    yield server
    server.remove()
