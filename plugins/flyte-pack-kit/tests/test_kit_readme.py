"""The pack in the README works."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flyte_host import Health
from tests.support.rest_stand_in import RestReply, RestRequest, RestStandIn

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    source = README.read_text().split('```python title="flyte_pack_thing.py"\n')[1].split("```")[0]
    module = ModuleType("flyte_pack_thing")
    # Annotations are looked up in the module.
    monkeypatch.setitem(sys.modules, "flyte_pack_thing", module)
    exec(compile(source, str(README), "exec"), vars(module))
    return module


def answer(request: RestRequest) -> RestReply:
    known = request.raw_path in {"/api/1/me", "/api/1/things/a%2Fb"}
    return RestReply(200, {}) if known else RestReply(404)


def test_the_example_is_a_pack(flyte_call: Any, example: ModuleType) -> None:
    with RestStandIn(answer) as service:
        pack = example.ThingPack(example.ThingSettings(service.url, "bot", "secret"))
        called = flyte_call(pack, "ReadThing", {"ID": "a/b"})
        assert (called.name, called.payload) == ("ThingRead", {"id": "a/b"})
        called = flyte_call(pack, "ReadThing", {"id": "c"})
        expected = {"id": "c", "error": "statusCode=404"}
        assert (called.name, called.payload) == ("ReadThingFailed", expected)
        [check] = pack.flyte_health_checks()
        assert check.check() == Health(True, f"{service.url} knows bot")
