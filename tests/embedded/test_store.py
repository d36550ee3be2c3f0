"""What survives: restarts, kills, other processes; the schema's version; time to live."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.database import Statements
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.schema import MIGRATIONS
from flyte_host.embedded.sqlite_database import SqliteDatabase
from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import PATIENCE_SECONDS

DAY = 86_400


def test_everything_survives_a_restart(start: Callable[..., Any], step: Any) -> None:
    before = start()
    before.pack(labels={"env": "dev"})
    pack = "P.env.dev"
    before.flow(step("Go", "one", id="a"), step("Done", "two", id="b", dependsOn=["a"]))
    before("PUT", "/v1/datastore/k", data={"value": (__file__, "x", "text/plain")})
    before.event("Go", {"n": 1}, pack=pack)
    before.event("Go", {"n": 2}, pack=pack)
    taken = before.take(pack)
    documents = [before("GET", path).data for path in PATHS]
    before.flyte.close()

    after = start()
    assert [after("GET", path).data for path in PATHS] == documents
    assert after.finish(taken, "Done") == 202
    assert after.take(pack)["command"] == "one"
    assert after.take(pack)["command"] == "two"


PATHS = ["/v1/packs", "/v1/packs/P.env.dev", "/v1/flows/flow", "/v1/datastore", "/v1/audit/flows"]


@pytest.mark.sqlite
def test_memory_leaves_nothing_behind(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start(":memory:").pack()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sqlite
def test_the_file_is_in_wal_mode(start: Callable[..., Any], store: Path) -> None:
    start()
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


@pytest.mark.sqlite
def test_an_older_schema_is_brought_up(store: Path) -> None:
    SqliteDatabase(store, ["CREATE TABLE a (x)"]).close()
    newer = SqliteDatabase(store, ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"])
    newer.write(lambda db: db.execute("INSERT INTO a (x, y) VALUES (1, 2)"))
    assert newer.rows("SELECT x, y FROM a") == [(1, 2)]
    newer.close()


@pytest.mark.sqlite
def test_a_new_file_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(10):
        ready = threading.Barrier(4)

        def opened(path: Path, ready: threading.Barrier = ready) -> int:
            ready.wait(PATIENCE_SECONDS)
            database = SqliteDatabase(path)
            (count,) = database.row("SELECT count(*) FROM pack")
            database.close()
            return int(count)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(opened, [tmp_path / f"{number}.db"] * 4)) == [0] * 4


@pytest.mark.sqlite
def test_a_new_file_that_another_writes_is_waited_for(store: Path) -> None:
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("CREATE TABLE theirs (x)")
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(SqliteDatabase, store, ["CREATE TABLE ours (x)"])
        assert not opening.done()
        other.execute("COMMIT")
        database = opening.result(PATIENCE_SECONDS)
    assert database.rows("SELECT * FROM ours") == []
    database.close()
    other.close()


@pytest.mark.sqlite
def test_nobody_else_can_read_a_new_store(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the process's umask is, and wherever the path starts."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    try:
        for path in (tmp_path / "a.db", "b.db"):
            start(path).pack("P")
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.glob("*.db*")}
    finally:
        os.umask(before)
    names = [name + side for name in ("a.db", "b.db") for side in ("", "-shm", "-wal")]
    assert modes == dict.fromkeys(names, "0o600")


@pytest.mark.sqlite
def test_a_store_that_is_there_keeps_who_may_read_it(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "flyte.db"
    path.touch()
    path.chmod(0o640)
    start(path).pack("P")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.sqlite
def test_a_file_that_another_keeps(store: Path) -> None:
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("CREATE TABLE theirs (x)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM theirs").fetchall()
    with pytest.raises(FlyteHostError, match="cannot be used: database is locked"):
        SqliteDatabase(store, busy_timeout_seconds=0.01)
    other.close()


@pytest.mark.sqlite
def test_a_broken_migration_changes_nothing(store: Path) -> None:
    SqliteDatabase(store, ["CREATE TABLE a (x)"]).close()
    with pytest.raises(FlyteHostError, match="cannot be used: table a already exists"):
        SqliteDatabase(store, ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (y)"])
    SqliteDatabase(store, ["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).close()


@pytest.mark.sqlite
def test_a_database_of_something_else_is_refused_and_left_alone(
    start: Callable[..., Any], store: Path
) -> None:
    """A journal counts versions in the same place, and has tables of the same names."""
    SqliteDatabase(store, ["CREATE TABLE action (number)"]).close()
    with pytest.raises(FlyteHostError) as raised:
        start()
    assert str(raised.value) == (
        f"the store {store} is another kind of database, such as a journal; expected a store "
        "of flyte, or a new file"
    )
    SqliteDatabase(store, ["CREATE TABLE action (number)"]).close()


@pytest.mark.sqlite
def test_a_newer_schema_is_refused(start: Callable[..., Any], store: Path) -> None:
    SqliteDatabase(store, [*MIGRATIONS, "CREATE TABLE later (x)"]).close()
    with pytest.raises(FlyteHostError) as raised:
        start()
    assert str(raised.value) == (
        f"the store {store} has schema {len(MIGRATIONS) + 1}, this flyte-host knows up to "
        f"{len(MIGRATIONS)}; "
        "use the newer flyte-host that wrote it"
    )


@pytest.mark.sqlite
@pytest.mark.parametrize("content", [None, b"this is not a database, however long it may be"])
def test_a_store_that_cannot_be_used(
    start: Callable[..., Any], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "missing" / "flyte.db"
    if content:
        path.parent.mkdir()
        path.write_bytes(content * 20)
    with pytest.raises(FlyteHostError, match=r"the store .*flyte\.db cannot be used: .*expected"):
        start(path)


@pytest.mark.sqlite
def test_a_store_that_is_not_a_file_is_named(start: Callable[..., Any]) -> None:
    with pytest.raises(FlyteHostError, match="cannot be used: found a device, expected a file"):
        start(Path("/dev/null"))


@pytest.mark.sqlite
def test_a_failed_transaction_leaves_nothing(store: Path) -> None:
    database = SqliteDatabase(store, ["CREATE TABLE a (x)"])

    def fail(db: Statements) -> None:
        db.execute("INSERT INTO a VALUES (1)")
        raise KeyError

    with pytest.raises(KeyError):
        database.write(fail)
    assert database.rows("SELECT * FROM a") == []
    database.close()


@pytest.mark.sqlite
def test_a_query_at_once_waits_for_no_other_thread(store: Path) -> None:
    database = SqliteDatabase(store, ["CREATE TABLE a (x)"])
    assert database.rows_at_once("SELECT 1") == [(1,)]
    assert database.write(lambda _: database.rows_at_once("SELECT 1")) is None
    assert database.rows_at_once("SELECT 1") == [(1,)]
    database.close()
    assert database.rows_at_once("SELECT 1") is None


@pytest.mark.parametrize(
    ("query", "form", "status"),
    [
        ("", {"actionName": "c"}, 204),
        ("", {"actionName": "c" * 2000}, 204),
        ("?actionName=c", None, 204),
        ("?" + "&" * 1000, None, 400),
    ],
)
def test_a_take_finds_nothing(
    call: Any, step: Any, query: str, form: dict[str, str] | None, status: int
) -> None:
    """Whether it is answered at once, or has to look at what waits."""
    path = f"/v1/packs/P/actions/take{query}"
    call.flow(step("Go", "d"))
    assert call("POST", path, data=form).status_code == status
    call.event("Go")
    assert call("POST", path, data=form).status_code == status
    assert call.take()["command"] == "d"


@pytest.mark.sqlite
def test_a_full_disk_refuses_and_recovers(call: Any, step: Any) -> None:
    call.flow(step("Go", "c", input="{{ Event.Payload }}"))
    (pages,) = call.flyte._database.row("PRAGMA page_count")
    call.flyte._database.row(f"PRAGMA max_page_count = {pages + 5}")
    big = {"event": "Go", "payload": "x" * 1_000_000}
    answer = call("POST", "/v1/packs/P/events", big)
    assert answer.status_code == 503, "hosts keep what they have, and send it again"
    assert answer.get_json() == {"error": "the store is away: database or disk is full"}
    assert call.take() is None
    assert call.executions() == []
    call.flyte._database.row("PRAGMA max_page_count = 1000000")
    assert call("POST", "/v1/packs/P/events", big).status_code == 202
    assert len(call.take()["input"]) == 1_000_000


ROOT = Path(__file__).parents[2]

VICTIM = """
import sys
from werkzeug.test import Client
from flyte_host.embedded import EmbeddedFlyte
from tests.support.asgi import as_wsgi
client = Client(as_wsgi(EmbeddedFlyte(sys.argv[1]).asgi))
client.post("/v1/packs", json={"name": "P"})
step = {"event": {"name": "Go", "packName": "P"}}
steps = [step | {"command": {"name": str(n), "packName": "P"}} for n in range(5)]
client.post("/v1/flows", json={"name": "f", "steps": steps})
client.post("/v1/flows", json={"name": "g", "steps": steps})
while True:
    assert client.post("/v1/packs/P/events", json={"event": "Go"}).status_code == 202
    print("accepted", flush=True)
"""


def test_kill_9_loses_nothing_and_halves_nothing(start: Callable[..., Any], store: Path) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(store)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert victim.stdout
    accepted = sum(1 for _ in zip(range(20), victim.stdout, strict=False))
    os.kill(victim.pid, signal.SIGKILL)
    accepted += len(victim.stdout.readlines())
    assert victim.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    victim.stdout.close()

    after = start()
    waiting = 0
    while after.take():
        waiting += 1
    events, rest = divmod(waiting, 10)
    assert rest == 0
    assert accepted <= events <= accepted + 1


# -- what is stored once ----------------------------------------------------------------------


@pytest.mark.sqlite
def test_a_trigger_is_stored_once(start: Callable[..., Any], store: Path, step: Any) -> None:
    """An event of 5 MB to a flow of 400 steps wrote 4 GB."""
    call = start()
    call.pack()
    call.flow(*[step("Go", f"c{number}", id=f"{number}") for number in range(7)], name="one")
    call.flow(*[step("Go", "c", criteria="bad") for _ in range(50)], name="two")
    before = call.flyte.store_bytes()
    call.event("Go", "x" * 1_000_000)
    assert 1_000_000 < call.flyte.store_bytes() - before < 2_000_000
    assert rows(store)["event"] == 1
    assert call.finish(call.take(), "Done", "y" * 1_000_000) == 202
    assert rows(store)["event"] == 2
    assert call.flyte.store_bytes() - before < 3_000_000
    [one] = call.executions("?flowName=one")
    assert {len(each["trigger"]["payload"]) for each in one["actions"].values()} == {1_000_000}


OLD_EVENT = (
    '{"name":"Go","pack":{"id":"P","name":"P","labels":{}},"payload":1,'
    '"created_at":"2026-11-23T20:00:00Z","received_at":"2026-11-23T20:00:00Z"}'
)


@pytest.mark.sqlite
def test_the_events_of_an_older_store_are_kept(start: Callable[..., Any], store: Path) -> None:
    """Each action had a copy of them."""
    old = SqliteDatabase(store, MIGRATIONS[:1])
    done = OLD_EVENT.replace("Go", "Done")
    flow = '{"name":"f","steps":[]}'

    def fill(db: Statements) -> None:
        db.execute("INSERT INTO flow_version (uuid, document) VALUES ('u', ?)", (flow.encode(),))
        db.execute("INSERT INTO flow (name, uuid) VALUES ('f', 'u')")
        db.execute("INSERT INTO execution VALUES ('x', 'u', 'f', ?)", (1_795_464_000_000,))
        for number, result in enumerate((None, done.encode())):
            db.execute(
                "INSERT INTO action (id, correlation_id, step_number, step_id, name, pack_name, "
                'pack_labels, state, states, input, context, "trigger", result) '
                "VALUES (?, 'x', ?, ?, 'c', 'P', '{}', 'SUCCESS', ?, 'null', '{}', ?, ?)",
                (
                    str(number),
                    number,
                    f"s{number}",
                    '[{"value":"NEW","time":"2026-11-23T20:00:00Z"}]',
                    OLD_EVENT.encode(),
                    result,
                ),
            )
        db.execute(
            "INSERT INTO skipped (correlation_id, step_id, event, reason, time) "
            "VALUES ('x', 's2', ?, 'why', 1)",
            (OLD_EVENT.encode(),),
        )

    old.write(fill)
    old.close()
    call = start()
    assert rows(store)["event"] == 2
    [execution] = call.executions()
    results = [each["result"]["event"] for each in execution["actions"].values()]
    assert results == ["", "Done"]
    assert {each["trigger"]["payload"] for each in execution["actions"].values()} == {1}
    assert execution["skipped"][0]["event"]["event"] == "Go"


# -- the audit's pages ------------------------------------------------------------------------


def test_a_page_of_the_audit_is_bounded(call: Any, step: Any) -> None:
    """?limit=999999999 took all memory."""
    call.flow(step("Go", "c"))
    for number in range(5):
        call.event("Go", f"{number}" * 1_200_000)
    answer = call("GET", "/v1/audit/flows?limit=999999999&flowName=flow")
    assert len(answer.data) < 4_100_000
    page = answer.get_json()
    assert [each["actions"][""]["trigger"]["payload"][0] for each in page["flows"]] == [
        "4", "3", "2",
    ]  # fmt: skip
    further = page["links"][-1]
    assert further == {
        "href": "http://localhost/v1/audit/flows?limit=999999999&flowName=flow&start=3",
        "rel": "next",
    }
    rest = call("GET", further["href"].removeprefix("http://localhost")).get_json()
    assert [each["actions"][""]["trigger"]["payload"][0] for each in rest["flows"]] == ["1", "0"]
    assert rest["links"][-1]["rel"] != "next"


def test_a_page_of_the_audit_has_at_most_1000_executions(call: Any, step: Any) -> None:
    for number in range(91):
        call.flow(step("Go", "c"), name=f"f{number}")
    for _ in range(11):
        call.event("Go")
    page = call("GET", "/v1/audit/flows?limit=%2B2147483648").get_json()
    assert len(page["flows"]) == 1000
    assert page["links"][-1]["href"].endswith("?limit=%2B2147483648&start=1000")
    assert len(call.executions("?limit=2147483648&start=1000")) == 1
    page = call("GET", "/v1/audit/flows?limit=1000").get_json()
    assert (len(page["flows"]), page["links"][-1]["rel"]) == (1000, "http://localhost/v1") or (
        page["links"][-1]["rel"] != "next"
    )


def test_an_execution_that_is_too_large_is_shown_in_part(call: Any, step: Any) -> None:
    """One event of 5 MB in an answer for each of 10 steps."""
    many = [10**300] * 1500
    steps = [step("Go", "c", id=f"{number}", input=many) for number in range(10)]
    call.flow(*steps)
    call.event("Go", "x" * 5_000_000)
    answer = call("GET", "/v1/audit/flows")
    assert len(answer.data) < 17_000_000
    [execution] = answer.get_json()["flows"]
    payloads = [each["trigger"]["payload"] for each in execution["actions"].values()]
    assert [len(each) for each in payloads[:2]] == [5_000_000, 5_000_000]
    assert payloads[-1] == "(left out: 5000165 bytes)"
    inputs = [each["input"] for each in execution["actions"].values()]
    assert inputs[0] == many
    assert inputs[-1] == "(left out: 453001 bytes)"
    correlation_id = execution["correlationId"]
    assert call("GET", f"/v1/audit/flows/{correlation_id}").get_json() == execution


# -- time to live ----------------------------------------------------------------------------


@pytest.fixture
def short(start: Callable[..., Any], step: Any) -> Any:
    """A flyte that forgets after ten days."""
    caller = start(ttl_seconds=10 * DAY)
    caller.pack()
    caller.flow(step("Go", "one", id="a"), step("Done", "two", id="b", dependsOn=["a"]))
    return caller


def rows(store: Path | str) -> dict[str, int]:
    tables = ("execution", "action", "skipped", "flow_version", "event")
    database = open_database(store)
    counts = {table: database.row(f"SELECT count(*) FROM {table}")[0] for table in tables}
    database.close()
    return counts


def test_executions_end_when_nothing_changed_for_their_ttl(
    short: Any, clock: Any, store: Path
) -> None:
    short.event("Go")
    short.finish(short.take(), "Other")
    clock.pass_(days=9)
    short.event("Go")
    assert len(short.executions()) == 2
    clock.pass_(days=2)
    assert len(short.executions()) == 1
    short.event("Go")
    assert rows(store)["execution"] == 2
    assert rows(store)["action"] == 2


def test_a_change_renews_the_time(short: Any, clock: Any) -> None:
    short.event("Go")
    clock.pass_(days=9)
    taken = short.take()
    clock.pass_(days=9)
    assert short.finish(taken, "Done") == 202
    clock.pass_(days=9)
    short.event("Nothing")
    assert short.take()["command"] == "two"
    assert set(short.executions()[0]["actions"]) == {"a", "b"}


def test_a_late_result_is_taken_if_its_execution_is_still_there(short: Any, clock: Any) -> None:
    short.event("Go")
    taken = short.take()
    clock.pass_(days=11)
    assert short.finish(taken, "Done") == 202
    assert short.take()["command"] == "two"


def test_a_late_result_of_what_was_forgotten_is_unknown(short: Any, clock: Any) -> None:
    short.event("Go")
    taken = short.take()
    clock.pass_(days=11)
    short.event("Go")
    assert short.finish(taken, "Done") == 404


def test_ends_come_in_small_steps(short: Any, clock: Any, store: Path) -> None:
    for _ in range(50):
        short.event("Go")
    clock.pass_(days=11)
    short.event("Go")
    assert rows(store)["execution"] == 31
    short.event("Go")
    short.event("Go")
    assert rows(store)["execution"] == 3


def test_versions_stay_while_executions_need_them(
    short: Any, clock: Any, store: Path, step: Any
) -> None:
    short.event("Go")
    short.flow(step("Go", "new"))
    taken = short.take()
    clock.pass_(days=9)
    assert short.finish(taken, "Done") == 202
    clock.pass_(days=9)
    short.event("Go")
    assert rows(store)["flow_version"] == 2
    assert [each["steps"][0]["command"]["name"] for each in short.executions()] == ["new", "one"]
    clock.pass_(days=2)
    short.event("Go")
    short.event("Go")
    assert rows(store)["flow_version"] == 1
    assert short("GET", "/v1/flows/flow").status_code == 200


def test_events_end_with_the_last_execution_that_needs_them(
    short: Any, clock: Any, store: Path, step: Any
) -> None:
    short.flow(step("Done", "again", id="c"), name="second")
    short.event("Go")
    taken = short.take()
    clock.pass_(days=9)
    assert short.finish(taken, "Done") == 202
    assert rows(store)["event"] == 2
    clock.pass_(days=9)
    short.finish(next(each for each in iter(short.take, None) if each["command"] == "again"), "E")
    clock.pass_(days=9)
    short.event("Go")
    counts = rows(store)
    assert (counts["execution"], counts["event"]) == (2, 3)
    clock.pass_(days=11)
    short.event("Go")
    assert rows(store)["event"] == 1


def test_a_clock_that_jumps_a_year_ahead_costs_nothing(
    short: Any, start: Callable[..., Any], clock: Any, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first event removed what waited."""
    short.event("Go")
    clock.jump(days=365)
    short.event("Go")
    assert rows(store)["execution"] == 2
    assert "the clock jumped from 2026-11-23T21:00:00+00:00" in caplog.text
    short.flyte.close()
    again = start(ttl_seconds=10 * DAY)
    clock.jump(days=-365)
    again.event("Go")
    assert rows(store)["execution"] == 3
    assert [again.take()["command"] for _ in range(3)] == ["one"] * 3


def test_skipped_steps_end_too(short: Any, clock: Any, store: Path, step: Any) -> None:
    short.flow(step("Go", "one", criteria="yes"), step("Fine", "one"))
    short.event("Go")
    assert rows(store)["skipped"] == 1
    clock.pass_(days=11)
    short.event("Fine")
    assert rows(store)["skipped"] == 0


def test_the_audit_shows_183_days(call: Any, clock: Any, step: Any) -> None:
    call.flow(step("Go", "one", id="a"), step("Done", "two", id="b", dependsOn=["a"]))
    call.event("Go")
    taken = call.take()
    [execution] = call.executions()
    clock.pass_(days=184)
    assert call.executions() == []
    href = execution["links"][0]["href"].removeprefix("http://localhost")
    assert call("GET", href).status_code == 404
    assert call.finish(taken, "Done") == 202
    assert len(call.executions()) == 1


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ({"minutes": 9}, "live"),
        ({"minutes": 10}, "warning"),
        ({"hours": 23}, "warning"),
        ({"hours": 24}, "critical"),
    ],
)
def test_status_of_a_pack(call: Any, clock: Any, length: dict[str, float], status: str) -> None:
    """live < 10 min since lastSeen, warning < 24 h, else critical"""
    clock.pass_(**length)
    assert call("GET", "/v1/packs/P").get_json()["status"] == status
    assert call("GET", "/v1/packs").get_json()["packs"][0]["status"] == status


@pytest.mark.parametrize(
    ("path", "body"),
    [("events", {"event": "E"}), ("events", [1]), ("actions/take", None), ("actions/x/result", [])],
)
def test_last_seen(call: Any, clock: Any, path: str, body: Any) -> None:
    """lastSeen moves on registration, take, event, result"""
    clock.pass_(hours=1)
    call("POST", f"/v1/packs/P/{path}", body)
    assert call("GET", "/v1/packs/P").get_json()["lastSeen"] == "2026-11-23T22:00:00.123Z"
    clock.pass_(hours=1)
    call.pack()
    assert call("GET", "/v1/packs/P").get_json()["lastSeen"] == "2026-11-23T23:00:00.123Z"


def test_last_seen_is_exact_although_it_is_stored_once_a_second(
    start: Callable[..., Any], clock: Any
) -> None:
    """A take that finds nothing writes nothing; the next process still knows."""

    def seen(flyte: Any) -> list[str]:
        one = flyte("GET", "/v1/packs/P").get_json()["lastSeen"]
        (each,) = flyte("GET", "/v1/packs").get_json()["packs"]
        return [one, each["lastSeen"]]

    call, other = start(), start()
    call.pack()
    clock.pass_(milliseconds=400)
    assert call.take() is None
    assert seen(call) == ["2026-11-23T21:00:00.523Z"] * 2
    assert seen(other) == ["2026-11-23T21:00:00.123Z"] * 2
    clock.pass_(milliseconds=600)
    assert call.take() is None
    assert seen(other) == seen(call) == ["2026-11-23T21:00:01.123Z"] * 2
    clock.pass_(milliseconds=200)
    assert call.take() is None
    call.flyte.close()
    call.flyte.close()
    assert seen(other) == ["2026-11-23T21:00:01.323Z"] * 2
    clock.jump(hours=-1)
    assert other.take() is None
    assert seen(other) == ["2026-11-23T20:00:01.323Z"] * 2


def test_a_take_stores_when_the_pack_was_seen(
    start: Callable[..., Any], clock: Any, step: Any
) -> None:
    """In its own commit, which a flyte that closes later does not undo."""
    call, other = start(), start()
    call.flow(step("Go", "c"))
    call.pack()
    clock.pass_(milliseconds=400)
    assert other.take() is None
    call.event("Go")
    clock.pass_(seconds=10)
    assert call.take() is not None
    other.flyte.close()
    seen = start()("GET", "/v1/packs/P").get_json()["lastSeen"]
    assert seen == "2026-11-23T21:00:10.523Z"


def stored_sight(start: Callable[..., Any]) -> str:
    """When the store says that pack P was seen, to a flyte that has not seen it."""
    return str(start()("GET", "/v1/packs/P").get_json()["lastSeen"])


@pytest.mark.parametrize("name", ["Go", "Unheard"])
def test_an_event_stores_when_its_pack_was_seen(
    start: Callable[..., Any], call: Any, clock: Any, step: Any, name: str
) -> None:
    call.flow(step("Go", "c"))
    clock.pass_(seconds=10)
    call.event(name)
    assert stored_sight(start) == "2026-11-23T21:00:10.123Z"


def test_a_result_stores_when_its_pack_was_seen(
    start: Callable[..., Any], call: Any, clock: Any, step: Any
) -> None:
    """Also one that is refused."""
    call.flow(step("Go", "c"))
    call.event("Go")
    action = call.take()
    clock.pass_(seconds=10)
    assert call.finish(action, "Done") == 202
    assert stored_sight(start) == "2026-11-23T21:00:10.123Z"
    clock.pass_(seconds=10)
    assert call.finish(action, "Done") == 500
    assert stored_sight(start) == "2026-11-23T21:00:20.123Z"
    clock.pass_(seconds=10)
    unknown = call("POST", "/v1/packs/P/actions/x/result", {"event": "Done"})
    assert unknown.status_code == 404
    assert stored_sight(start) == "2026-11-23T21:00:30.123Z"


def test_a_pack_that_is_made_again_was_seen_when_it_registered(call: Any, clock: Any) -> None:
    clock.pass_(milliseconds=400)
    assert call.take() is None
    assert call("DELETE", "/v1/packs/P").status_code == 204
    clock.jump(milliseconds=-300)
    call.pack()
    assert call("GET", "/v1/packs/P").get_json()["lastSeen"] == "2026-11-23T21:00:00.223Z"
