"""Results that meet in the middle: what was decided on old facts is decided again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.database import to_millis
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.decision_log import DecisionLog
from flyte_host.embedded.executions import Executions
from flyte_host.embedded.flow_reader import read_flow
from flyte_host.embedded.flow_runner import FlowRunner, NotPending
from flyte_host.embedded.herald import Herald
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.model import GivenEvent, PackIdentity, RegisteredPack, TakenAction
from flyte_host.embedded.store import Store
from flyte_host.embedded.sweeper import Sweeper

P = PackIdentity("P", "P")


class Interrupted:
    """Renders a text as it is; between, once, something else happens."""

    def __init__(self) -> None:
        self.meanwhile: list[Callable[[], None]] = []

    def render(self, text: str, variables: Any) -> str:
        if self.meanwhile:
            self.meanwhile.pop()()
        return text


class RunnerRig:
    """A flow runner on a new store."""

    def __init__(self, clock: Any, store: Path | str) -> None:
        ids = Ids(clock.clock)
        self.clock = clock
        self.templates = Interrupted()
        self.database = open_database(store)
        sweeper = Sweeper(self.database, clock.clock, ttl_seconds=1e6)
        executions = Executions(self.database, clock.clock, sweeper)
        stored = Store(self.database)
        herald = Herald(stored, executions, DecisionLog())
        self.runner = FlowRunner(
            stored, executions, self.templates, ids, clock.clock, herald=herald
        )
        self.runner.register(RegisteredPack(P, (), (), (), clock()))

    def event(self, name: str) -> GivenEvent:
        return GivenEvent(name, None, self.clock(), self.clock())

    def finish(self, action: TakenAction) -> None:
        self.runner.result(P.id, action.id, self.event("Done"))

    def takes(self) -> list[TakenAction]:
        return list(iter(lambda: self.runner.take(P.id, ""), None))


@pytest.fixture
def rig(clock: Any, step: Any, store: Path | str) -> Iterator[RunnerRig]:
    """An execution whose steps a and b are taken; the result Done of either asks for last."""
    rig = RunnerRig(clock, store)
    last = step("Done", "last", id="last", dependsOn=["a", "b"], input="x")
    steps = [step("Go", "a", id="a"), step("Go", "b", id="b"), last]
    rig.runner.put_flow(read_flow({"name": "f", "steps": steps}))
    rig.runner.event(P.id, rig.event("Go"))
    yield rig
    rig.database.close()


def test_another_result_of_the_execution_comes_between(rig: RunnerRig) -> None:
    """3. A step runs at most once per execution"""
    a, b = rig.takes()
    rig.templates.meanwhile = [lambda: rig.finish(b)]
    rig.finish(a)
    assert [action.name for action in rig.takes()] == ["last"]
    with pytest.raises(NotPending):
        rig.finish(b)


def test_the_same_result_comes_between(rig: RunnerRig) -> None:
    """2. A second result → 500; the first one stands"""
    a, _ = rig.takes()
    rig.clock.pass_(seconds=10)
    seen = rig.clock()

    def finish_seen_earlier() -> None:
        rig.clock.jump(seconds=-5)
        rig.finish(a)

    rig.templates.meanwhile = [finish_seen_earlier]
    with pytest.raises(NotPending, match="is SUCCESS, a result needs PENDING"):
        rig.finish(a)
    assert rig.database.row("SELECT last_seen FROM pack") == (to_millis(seen),)
    assert [action.name for action in rig.takes()] == ["last"]
