"""The lines of ``/ready`` about the flyte in the host's own process."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from flyte_host.errors import StoreAway
from flyte_host.health.readiness import PLACES_SHOWN, Ready, readiness
from tests.support.health_rig import HealthRig
from tests.support.host_parts import ECHO, PackPlugin
from tests.support.scripted_server import ScriptedServer

SENTENCE = "2 actions wait for Shel.Shell: no pack 'Shel' is registered"


class Own:
    """A flyte that says what a test wants."""

    def __init__(self, *unserved: str, error: Exception | None = None) -> None:
        self._unserved = unserved
        self._error = error

    def store_bytes(self) -> int:
        return 1_500_000

    def unserved(self) -> Sequence[str]:
        if self._error is not None:
            raise self._error
        return self._unserved


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HealthRig]:
    with ScriptedServer() as server:
        made = HealthRig(server, tmp_path / "flyte-host.db", {"demo": PackPlugin(ECHO)})
        yield made
        made.rig.close()


def line(rig: HealthRig, own: Own) -> Ready:
    return readiness(rig.parts, 0.0, own)["unserved"]


def test_a_flyte_elsewhere_has_no_line(rig: HealthRig) -> None:
    assert not {"store", "unserved"} & set(readiness(rig.parts, 0.0))


def test_actions_that_nobody_serves_are_told_and_are_not_critical(rig: HealthRig) -> None:
    assert line(rig, Own()) == Ready(
        True, "no action waits for an unserved command", critical=False
    )
    assert line(rig, Own(SENTENCE)) == Ready(False, SENTENCE, critical=False)
    many = line(rig, Own(*[SENTENCE] * (PLACES_SHOWN + 2)))
    assert many.reason == "; ".join([*[SENTENCE] * PLACES_SHOWN, "2 more"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("it is closed"), "cannot be read: OSError: it is closed"),
        (StoreAway("the store is away: it restarts"), "the store is away: it restarts"),
    ],
    ids=["closed", "away"],
)
def test_a_store_that_cannot_be_read_is_not_a_reason_to_be_unready(
    rig: HealthRig, error: Exception, words: str
) -> None:
    assert line(rig, Own(error=error)) == Ready(False, words, critical=False)
    assert readiness(rig.parts, 0.0, Own())["store"].reason == "1.5 MB"
