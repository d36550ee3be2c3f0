"""What a host answers to ctl's questions, as far as no process is needed to ask them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flyte_host.control.controls import Controls
from flyte_host.errors import FlyteHostError
from tests.support.host_parts import ECHO, PackPlugin
from tests.support.pipeline_rig import PipelineRig
from tests.support.scripted_server import ScriptedServer

MakeControls = Callable[..., Controls]


@pytest.fixture
def make_controls(tmp_path: Path) -> Iterator[MakeControls]:
    """Controls of a pipeline that does not run."""
    made: list[PipelineRig] = []

    with ScriptedServer() as server:

        def make(**plugins: object) -> Controls:
            made.append(PipelineRig(server, tmp_path / "state.db", plugins))
            return Controls(made[-1].parts)

        yield make
        for each in made:
            each.close(0)


def test_a_verb_that_there_is_not(make_controls: MakeControls) -> None:
    controls = make_controls(demo=PackPlugin(ECHO))
    with pytest.raises(FlyteHostError, match="the host cannot 'dance'; it can: pause, resume, sta"):
        controls.answer({"do": "dance"})
    with pytest.raises(FlyteHostError, match="no pack '7' is served; there are: demo"):
        controls.answer({"do": "status", "pack": 7})


def test_a_host_without_packs(make_controls: MakeControls) -> None:
    controls = make_controls()
    assert controls.answer({"do": "pause"}) == {"packs": []}
    with pytest.raises(FlyteHostError, match="there are: none"):
        controls.answer({"do": "pause", "pack": "demo"})


def test_twice_is_as_once(make_controls: MakeControls) -> None:
    controls = make_controls(demo=PackPlugin(ECHO), other=PackPlugin(ECHO, name="Other"))
    first, again = (controls.answer({"do": "pause"}) for _ in range(2))
    assert first == again
    assert all(pack["paused_since"] for pack in first["packs"])
    for _ in range(2):
        resumed = controls.answer({"do": "resume"})
        assert [pack["paused_since"] for pack in resumed["packs"]] == [None, None]
