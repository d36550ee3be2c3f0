from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_bamboo import BambooPack, BambooSettings

from tests.support.rest_stand_in import RestStandIn

from .bamboo_stand_in import PASSWORD, USER, BambooServer


@pytest.fixture
def bamboo() -> BambooServer:
    return BambooServer()


@pytest.fixture
def served(bamboo: BambooServer) -> Iterator[RestStandIn]:
    with RestStandIn(bamboo.answer) as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., BambooPack]:
    def make(url: str, **settings: Any) -> BambooPack:
        login = {"user": USER, "password": PASSWORD}
        return BambooPack(BambooSettings(url, **(login | settings)), {})

    return make


@pytest.fixture
def pack(served: RestStandIn, make_pack: Callable[..., BambooPack]) -> BambooPack:
    return make_pack(served.url)


@pytest.fixture
def strict_pack(served: RestStandIn, make_pack: Callable[..., BambooPack]) -> BambooPack:
    """The pack without the Go pack's mistakes."""
    return make_pack(served.url, go_compatible=False)
