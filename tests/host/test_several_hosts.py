"""Several hosts of the same pack on one flyte: they share its actions, and each runs once.

What a killed host had begun ends by its journal: when that host is back, or when another one has
adopted its file. The hosts, flyte and the command that adopts are processes.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from flyte_host.embedded.database import Database
from flyte_host.embedded.database_opener import open_database
from flyte_host.testing.waiting import wait_until
from tests.support.fleet import PLUGIN, Fleet
from tests.support.postgres import POSTGRES, PostgresServer, store_kinds

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HOSTS = 3
SLOTS = 4
CUT_OFF = "the host stopped while this command was running"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_kind" in metafunc.fixturenames:
        metafunc.parametrize("store_kind", store_kinds(metafunc.config, is_for_both=True))


@pytest.fixture
def store(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    if store_kind != POSTGRES:
        yield str(tmp_path / "flyte.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def database(store: str) -> Iterator[Database]:
    """What flyte keeps."""
    database = open_database(store)
    yield database
    database.close()


@pytest.fixture
def fleet(
    tmp_path: Path,
    installed: Callable[[str, str], Path],
    flyte_host_environ: dict[str, str],
    store: str,
    database: Database,  # opened before flyte: one of them makes the tables
) -> Iterator[Fleet]:
    installed("chain", PLUGIN)
    slots = f"[host]\nmax_concurrent = {SLOTS}\n"
    numbers = (1, HOSTS)
    with Fleet(tmp_path, flyte_host_environ, store, numbers=numbers, steps=1, config=slots) as made:
        yield made


def results(database: Database) -> dict[str, tuple[str, object]]:
    """The state and the result's payload of each action."""
    rows = database.rows(
        "SELECT id, state, document FROM action LEFT JOIN event ON event.number = result_event"
    )
    return {
        action: (state, document and msgspec.json.decode(document)["payload"])
        for action, state, document in rows
    }


def states(database: Database) -> list[str]:
    return sorted(state for state, _ in results(database).values())


def hold_all(fleet: Fleet) -> set[str]:
    """Each host runs as many actions as it may; the ids of these."""
    fleet.hold()
    fleet.raise_events(HOSTS * SLOTS)
    wait_until(lambda: len(fleet.started()) == HOSTS * SLOTS, "all slots of all hosts are taken")
    return set(fleet.started())


def test_hosts_share_the_actions_and_each_runs_once(fleet: Fleet, database: Database) -> None:
    hold_all(fleet)
    assert fleet.shares() == dict.fromkeys(range(HOSTS), SLOTS)
    number = 60
    fleet.raise_events(number - HOSTS * SLOTS)
    assert sum(fleet.shares().values()) == HOSTS * SLOTS, "a full host takes no more"
    fleet.release()
    wait_until(lambda: states(database) == ["SUCCESS"] * number, "all are done")
    assert fleet.started() == dict.fromkeys(results(database), 1)


def test_a_killed_host_ends_its_actions_when_it_is_back(fleet: Fleet, database: Database) -> None:
    held = hold_all(fleet)
    fleet.kill(1)
    fleet.raise_events(10)
    fleet.release()
    done = len(held) - SLOTS + 10
    wait_until(lambda: states(database).count("SUCCESS") == done, "the others do the rest")
    cut_off = {action for action in held if fleet.host_of(action) == 0}
    assert {a for a, (state, _) in results(database).items() if state == "PENDING"} == cut_off
    fleet.start(1)
    wait_until(lambda: "PENDING" not in states(database), "it ends what it had begun")
    ends = results(database)
    assert [ends[action] for action in cut_off] == [("FATAL", CUT_OFF)] * SLOTS
    assert fleet.started() == dict.fromkeys(ends, 1)


def test_another_host_adopts_what_a_lost_one_had_begun(
    fleet: Fleet, database: Database, flyte_host: Run
) -> None:
    held = hold_all(fleet)
    fleet.kill(1)
    fleet.kill(2)
    fleet.release()
    lost = fleet.place(0) / "flyte-host.db"
    done = flyte_host(
        "journal", "adopt", "--config", str(fleet.place(1) / "flyte-host.toml"), str(lost)
    )
    assert (done.returncode, done.stdout) == (0, f"adopted: {SLOTS} actions and 0 events\n")
    fleet.start(2)
    wait_until(lambda: not {"NEW", "PENDING"} & set(states(database)), "all have an end")
    assert states(database) == ["FATAL"] * 2 * SLOTS + ["SUCCESS"] * SLOTS
    assert fleet.started() == dict.fromkeys(held, 1)
