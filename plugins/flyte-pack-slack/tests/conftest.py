import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest
from flyte_pack_slack import SlackPack, SlackSettings
from flyte_pack_slack.slack_api import SlackTiming

from flyte_host import Event
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

from .slack_stand_in import APP_TOKEN, TOKEN, SlackStandIn


class SlackTime:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)

    def timing(self) -> SlackTiming:
        return SlackTiming(self.monotonic, self.sleep)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as running:
        yield running


@pytest.fixture
def slack_time() -> SlackTime:
    return SlackTime()


@pytest.fixture
def make_pack(slack: SlackStandIn, slack_time: SlackTime) -> Callable[..., SlackPack]:
    def make(**settings: Any) -> SlackPack:
        given = {"token": TOKEN, "api_url": slack.url, "timeout_seconds": 5} | settings
        return SlackPack(SlackSettings(**given), {}, slack_time.timing())

    return make


class Listening:
    """A pack that listens to Slack, and the events it raised; ``fails`` is what emit raises."""

    def __init__(self, pack: SlackPack) -> None:
        self.pack = pack
        self.events: list[tuple[str, Any]] = []
        self.fails: Exception | None = None
        self.may_emit = threading.Event()
        self.may_emit.set()

    def emit(self, event: Event) -> None:
        self.may_emit.wait(PATIENCE_SECONDS)
        if self.fails is not None:
            raise self.fails
        payload = msgspec.json.decode(msgspec.json.encode(event.payload))
        self.events.append((event.event_def.name, payload))

    def health(self) -> tuple[bool, Any]:
        found = self.pack.flyte_health_checks()[0].check()
        return found.healthy, found.status


@contextmanager
def listening(
    slack: SlackStandIn, silence_seconds: float = 60, **settings: Any
) -> Iterator[Listening]:
    given = {"token": TOKEN, "app_token": APP_TOKEN, "api_url": slack.url, "timeout_seconds": 5}
    timing = SlackTiming(first_pause_seconds=0.02, silence_seconds=silence_seconds)
    listener = Listening(SlackPack(SlackSettings(**given | settings), {}, timing))
    stopping = threading.Event()
    thread = threading.Thread(
        target=listener.pack.flyte_observe, args=(listener.emit, stopping), daemon=True
    )
    thread.start()
    try:
        yield listener
    finally:
        listener.may_emit.set()
        stopping.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def listen(slack: SlackStandIn) -> Iterator[Callable[..., Listening]]:
    """Have a pack listen to the stand-in, with settings as keywords, and wait for its socket."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Listening:
            found = stack.enter_context(listening(slack, **settings))
            wait_until(lambda: slack.connected, "the pack is connected")
            return found

        yield start
