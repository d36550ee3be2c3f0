from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_consul import ConsulPack, ConsulSettings

from tests.support.rest_stand_in import RestStandIn

from .consul_stand_in import ConsulAgent


@pytest.fixture
def agent() -> ConsulAgent:
    return ConsulAgent()


@pytest.fixture
def served(agent: ConsulAgent) -> Iterator[RestStandIn]:
    with RestStandIn(agent.answer) as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., ConsulPack]:
    def make(url: str, **settings: Any) -> ConsulPack:
        return ConsulPack(ConsulSettings(url, **settings), {})

    return make


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[ConsulPack, Any], tuple[str, Any]]:
    """Run TransactKV and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "TransactKV", document)
