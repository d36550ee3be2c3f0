from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event as ThreadEvent
from threading import Thread
from typing import Any

import pytest
from flyte_pack_serf import SerfPack, SerfSettings

from .serf_agent import AUTH_KEY, SERF, SerfAgent


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SerfAgent]:
    if SERF is None:
        pytest.skip("serf is not installed; it is in the system's package serf")
    with SerfAgent(tmp_path_factory.mktemp("serf"), "main", AUTH_KEY) as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., SerfPack]:
    def make(address: str, **settings: Any) -> SerfPack:
        usual = {"rpc_auth_key": AUTH_KEY, "longest_pause_seconds": 0.05}
        return SerfPack(SerfSettings(address, **(usual | settings)), {})

    return make


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[SerfPack, Any], tuple[str, Any]]:
    """Run SendEvent and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "SendEvent", document)


@pytest.fixture
def hearing() -> Callable[[SerfPack], AbstractContextManager[list[Any]]]:
    """The payloads of the events that a pack raises while it observes."""

    @contextmanager
    def hear(pack: SerfPack) -> Iterator[list[Any]]:
        heard: list[Any] = []
        stopping = ThreadEvent()

        def emit(event: Any) -> None:
            assert event.event_def.name == "UserEvent"
            heard.append(event.payload)

        thread = Thread(target=pack.flyte_observe, args=(emit, stopping))
        thread.start()
        try:
            yield heard
        finally:
            stopping.set()
            thread.join(30)
            assert not thread.is_alive()

    return hear
