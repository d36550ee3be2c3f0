"""What a host answers to ctl's questions, as far as no process is needed to ask them."""

from collections.abc import Callable

import pytest

from flyte_host import Command
from flyte_host.errors import FlyteHostError
from flyte_host.testing.running_host import RunningHost
from tests.support.host_parts import ECHO, OK, Plugin, echo


def test_a_verb_that_there_is_not(flyte_run_host: Callable[..., RunningHost]) -> None:
    engine = flyte_run_host({"demo": Plugin(ECHO)}).host._engine
    assert engine is not None
    pausing = engine.pausing()
    with pytest.raises(FlyteHostError, match="the host cannot 'dance'; it can: pause, resume, sta"):
        pausing.answer({"do": "dance"})
    with pytest.raises(FlyteHostError, match="no pack '7' is served; there are: demo"):
        pausing.answer({"do": "status", "pack": 7})


def test_a_host_without_packs(flyte_run_host: Callable[..., RunningHost]) -> None:
    engine = flyte_run_host({}).host._engine
    assert engine is not None
    assert engine.pausing().answer({"do": "pause"}) == {"packs": []}
    with pytest.raises(FlyteHostError, match="there are: none"):
        engine.pausing().answer({"do": "pause", "pack": "demo"})


def test_twice_is_as_once(flyte_run_host: Callable[..., RunningHost]) -> None:
    plugins = {"demo": Plugin(Command("echo", echo, [OK])), "bare": Plugin(name="Bare")}
    engine = flyte_run_host(plugins).host._engine
    assert engine is not None
    first, again = (engine.pausing().answer({"do": "pause"}) for _ in range(2))
    assert first == again
    assert all(pack["paused_since"] for pack in first["packs"])
    for _ in range(2):
        resumed = engine.pausing().answer({"do": "resume"})
        assert [pack["paused_since"] for pack in resumed["packs"]] == [None, None]
