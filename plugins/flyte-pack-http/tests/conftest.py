import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest
from flyte_pack_http import HttpPack, HttpSettings

from flyte_host import Event, trace_headers
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.web.limits import Limits

from .web_service import WebService
from .webhook_sender import HOOKS

LOOPBACK = ["127.0.0.1/32"]


@pytest.fixture
def service() -> Iterator[WebService]:
    with WebService() as running:
        yield running


@pytest.fixture
def request_of(flyte_call: Callable[..., Any]) -> Callable[..., tuple[str, Any]]:
    """Run Request with an input, and settings as keywords; the event's name and payload."""

    def run(document: Any, **settings: Any) -> tuple[str, Any]:
        called = flyte_call(
            HttpPack, "Request", document, settings={"allowed_networks": LOOPBACK} | settings
        )
        return called.name, called.payload

    return run


class Receiver:
    """A pack that listens, and the events it raised; ``fails`` is what emit raises."""

    def __init__(self, pack: HttpPack) -> None:
        self.pack = pack
        self.events: list[tuple[str, Any]] = []
        self.traces: list[dict[str, str]] = []
        self.fails: Exception | None = None
        self.may_emit = threading.Event()
        self.may_emit.set()

    @property
    def url(self) -> str:
        return self.pack.webhooks_url

    def emit(self, event: Event) -> None:
        self.may_emit.wait(PATIENCE_SECONDS)
        if self.fails is not None:
            raise self.fails
        payload = msgspec.json.decode(msgspec.json.encode(event.payload))
        self.traces.append(trace_headers())
        self.events.append((event.event_def.name, payload))


@contextmanager
def receiving(
    now: Callable[[], float] = time.time, limits: Limits | None = None, **settings: Any
) -> Iterator[Receiver]:
    given = {"listen": "127.0.0.1:0", "webhooks": HOOKS} | settings
    typed = msgspec.convert(given, HttpSettings)
    receiver = Receiver(HttpPack(typed, now, limits))
    stopping = threading.Event()
    thread = threading.Thread(
        target=receiver.pack.flyte_observe, args=(receiver.emit, stopping), daemon=True
    )
    thread.start()
    try:
        wait_until(lambda: receiver.url, "the pack listens")
        yield receiver
    finally:
        receiver.may_emit.set()
        stopping.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Have a pack listen, with settings as keywords."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(receiving(**given))
