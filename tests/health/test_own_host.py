"""What pages show of the host: from the file, without secrets, and nothing if it is unreadable."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_host.health.own_host import MOST_ENTRIES, OwnHost
from flyte_host.model import Taken
from tests.support.health_rig import HealthRig
from tests.support.host_parts import ECHO, PackPlugin, flyte_script
from tests.support.journal_file import write_result, write_taken
from tests.support.scripted_server import ScriptedServer


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HealthRig]:
    with ScriptedServer() as server:
        flyte_script(server, "Demo")
        made = HealthRig(server, tmp_path / "flyte-host.db", {"demo": PackPlugin(ECHO)})
        yield made
        made.rig.close()


@pytest.fixture
def host(rig: HealthRig) -> OwnHost:
    rig.scrubber.learn("tok-en-1")
    return OwnHost(rig.parts, rig.scrubber)


def take(rig: HealthRig, name: str, *, parked_for: str = "") -> None:
    opened = write_taken(
        rig.journal, "demo", "Demo", Taken(name, "echo", b"1", f"v1/{name}/result")
    )
    if parked_for:
        delivery = write_result(rig.journal, opened, b"{}")
        assert delivery is not None
        rig.journal.park(delivery, parked_for)


def test_entries_of_actions(rig: HealthRig, host: OwnHost) -> None:
    take(rig, "a1")
    take(rig, "a2", parked_for="refused with tok-en-1")
    found = host.entries_of(["a1", "a2", "a3"])
    assert set(found) == {"a1", "a2"}
    assert (found["a1"].name, found["a1"].state, found["a1"].attempt) == ("r1", "taken", 1)
    assert (found["a2"].state, found["a2"].reason) == ("parked", "refused with ***")


def test_the_journal_has_what_is_parked_first_and_no_end(rig: HealthRig, host: OwnHost) -> None:
    rig.journal.emit("demo", b'{"event":"Tick"}')
    take(rig, "a1")
    take(rig, "a2", parked_for="no")
    assert [(each.name, each.state) for each in host.journal()] == [
        ("r2", "parked"), ("r1", "taken"), ("e1", "waiting"),
    ]  # fmt: skip
    for _ in range(MOST_ENTRIES):
        rig.journal.emit("demo", b"{}")
    assert len(host.journal()) == MOST_ENTRIES


def test_an_unreadable_journal_has_nothing(rig: HealthRig, host: OwnHost) -> None:
    rig.state.rename(rig.state.with_name("gone"))
    assert host.journal() == []
    assert host.entries_of(["a1"]) == {}


def test_schemas_of_inputs(host: OwnHost) -> None:
    assert set(host.input_schemas("Demo")) == {"echo"}
    assert host.input_schemas("Other") == {}
