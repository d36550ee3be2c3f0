"""A store's copy works on where the original stopped, from each kind of database to each."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.table_copy import TableCopy, copy_store
from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.postgres import POSTGRES, SQLITE, PostgresServer

PATHS = ["/v1/packs", "/v1/flows/flow", "/v1/datastore", "/v1/datastore/k", "/v1/audit/flows"]
Store = str | Path


@pytest.fixture(
    params=[f"{one}-{other}" for one in (SQLITE, POSTGRES) for other in (SQLITE, POSTGRES)]
)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with ExitStack() as databases:

        def place(kind: str, file: str) -> Store:
            if kind == SQLITE:
                return tmp_path / file
            server: PostgresServer = request.getfixturevalue("postgres")
            return databases.enter_context(server.database())

        source, target = request.param.split("-")
        yield place(source, "one.db"), place(target, "other.db")


def copied(source: Store, target: Store) -> list[TableCopy]:
    with closing(open_database(source)) as one, closing(open_database(target)) as other:
        return copy_store(one, other)


def test_a_copy_works_on(stores: tuple[Store, Store], start: Callable[..., Any], step: Any) -> None:
    source, target = stores
    before = start(source)
    before.pack("P")
    before.pack("P", labels={"env": "ü"})
    before.flow(
        step("Go", "one", id="a"),
        step("Go", "bad", id="bad", criteria="maybe"),
        step("Done", "two", id="b", dependsOn=["a"]),
    )
    before("PUT", "/v1/datastore/k", data={"value": (__file__, "x", "text/plain")})
    for number in range(120):
        before.event("Go", {"n": number, "text": "\0 ü"})
    taken = [before.take() for _ in range(3)]
    assert before.finish(taken[0], "Done") == 202
    documents = [before("GET", path).data for path in PATHS]
    before.flyte.close()

    tables = {each.name: each.rows for each in copied(source, target)}
    assert (tables["execution"], tables["action"], tables["skipped"]) == (120, 121, 120)

    after = start(target)
    assert [after("GET", path).data for path in PATHS] == documents
    assert after.finish(taken[0], "Done") == 500
    assert after.finish(taken[1], "Done") == 202
    after.event("Go", {"n": 120, "text": ""})
    commands = [action["command"] for action in iter(after.take, None)]
    assert commands == ["one"] * 117 + ["two", "two", "one"]


def test_a_store_that_is_not_empty_is_left_alone(
    stores: tuple[Store, Store], start: Callable[..., Any]
) -> None:
    source, target = stores
    start(source).pack("P")
    start(target).pack("Q")
    with pytest.raises(FlyteHostError, match="has rows in pack; expected an empty one"):
        copied(source, target)
    with closing(open_database(target)) as database:
        assert database.rows("SELECT id FROM pack") == [("Q",)]


def test_of_two_copies_at_once_the_second_finds_the_first(
    stores: tuple[Store, Store], start: Callable[..., Any]
) -> None:
    source, target = stores
    start(source).pack("P")
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(copied, source, target) for _ in range(2)]
        problems = [each.exception(PATIENCE_SECONDS) for each in copies]
    assert sorted(map(str, problems)) == [
        "None", "the store to copy to has rows in pack; expected an empty one"
    ]  # fmt: skip


def test_a_copy_that_differs_is_not_kept(postgres: PostgresServer, tmp_path: Path) -> None:
    """The target changes what is written: here a trigger does."""
    source = tmp_path / "one.db"
    with closing(open_database(source)) as database:
        add = "INSERT INTO datastore VALUES ('k', 't', 'd', ?)"
        database.write(lambda db: db.execute(add, (b"x",)))
    with postgres.database() as target:
        with closing(open_database(target)) as database:
            database.write(lambda db: [db.execute(each) for each in CHANGING])
        with pytest.raises(
            FlyteHostError, match="the copy of table datastore differs: found 1 row"
        ):
            copied(source, target)
        with closing(open_database(target)) as database:
            assert database.rows("SELECT * FROM datastore") == []


CHANGING = (
    """
    CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN NEW.description = 'changed'; RETURN NEW; END $$
    """,
    "CREATE TRIGGER changing BEFORE INSERT ON datastore FOR EACH ROW EXECUTE FUNCTION change()",
)
