from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_graphite import GraphitePack, GraphiteSettings

from .graphite_web import INSTALLED, GraphiteWeb


@pytest.fixture(scope="session")
def graphite_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphiteWeb]:
    if not INSTALLED:
        pytest.skip("graphite-web is not installed; it is in the system's package of that name")
    with GraphiteWeb(tmp_path_factory.mktemp("graphite")) as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., GraphitePack]:
    def make(url: str, **settings: Any) -> GraphitePack:
        return GraphitePack(GraphiteSettings(url, **settings), {})

    return make


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[GraphitePack, Any], tuple[str, Any]]:
    """Run AddEvents and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "AddEvents", document)
