"""A whole pipeline against a scripted flyte; every part is real."""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from flyte_host import Event
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.parts import Parts, wire_parts
from flyte_host.pipeline.pipeline import Pipeline
from flyte_host.pipeline.schedule.idle_workers import LINGER_SECONDS
from flyte_host.pipeline.schedule.pack_view import PackView
from flyte_host.pipeline.schedule.poll_rules import KEEP_ALIVE_SECONDS
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.tracer import Tracer
from flyte_host.pipeline.workers.taker import Taker
from flyte_host.pipeline.workers.worker_pool import WorkerPool
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.host_parts import OK, Middle, client_for
from tests.support.scripted_server import Reply, ScriptedServer, Seen, action, reply
from tests.support.served_packs import served_packs

TAKE = "POST /v1/packs/Demo/actions/take"
REGISTER = "POST /v1/packs"
EMPTY = reply(204)


class PipelineRig:
    """Packs by pack key, all with as many slots; ``more`` are options of the taker.

    The clock's middle of every range makes intervals known.
    """

    def __init__(
        self,
        server: ScriptedServer,
        state: Path,
        plugins: Mapping[str, object],
        *,
        slots: int = 4,
        interval_seconds: float = 0.02,
        client: FlyteClient | None = None,
        rng: random.Random | None = None,
        clock: Clock | None = None,
        packs: Mapping[str, Mapping[str, Any]] | None = None,
        scrubber: Scrubber | None = None,
        tracer: Tracer | None = None,
        linger_seconds: float = LINGER_SECONDS,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        **more: Any,
    ) -> None:
        self.server = server
        self._seen = 0
        self._queued: deque[Reply] = deque()
        clock = clock or Clock(rng=rng or Middle())
        scrubber = scrubber or Scrubber()
        tables = packs or {each: {"max_concurrent": slots} for each in plugins}
        served = served_packs(plugins, tables, scrubber)
        counters = Counters({key: pack.commands for key, pack in served.packs.items()})
        watch = ThreadWatch()
        parts = wire_parts(
            served=served,
            schedule=Schedule(
                interval_seconds,
                clock,
                linger_seconds=linger_seconds,
                keep_alive_seconds=keep_alive_seconds,
            ),
            client=client or client_for(server.url, clock),
            journal=Journal(state, clock),
            handler_tools=HandlerTools(scrubber, clock, counters, watch),
            clock=clock,
            counters=counters,
            watch=watch,
            tracer=tracer or Tracer(),
        )
        self.parts = _with_taker(parts, more) if more else parts
        self.pipeline = Pipeline(self.parts)

    @property
    def schedule(self) -> Schedule:
        return self.parts.schedule

    def start(self) -> Self:
        self.pipeline.start()
        return self

    def view(self, pack_key: str = "demo") -> PackView:
        return self.parts.schedule.view(pack_key)

    def submit(self, number: int = 1, command: str = "echo", input: Any = None) -> None:
        """Queue an action of the pack ``Demo`` at flyte, and wake the pack."""
        self._queued.append(act(self.server, number, command=command, input=input))
        self.server.on(TAKE, [self._next_queued])
        self.schedule.wake("Demo", {})

    def _next_queued(self, _: Seen) -> bytes:
        try:
            found = self._queued.popleft()
        except IndexError:
            return EMPTY
        assert isinstance(found, bytes)
        return found

    def results(self) -> list[Seen]:
        """The results that flyte got, in their order."""
        return [each for each in self.server.requests if each.path.endswith("/result")]

    def next_event(self) -> tuple[str, Any]:
        """Name and payload of the next result that flyte gets."""
        self._seen += 1
        wait_until(lambda: len(self.results()) >= self._seen, "a result", look_seconds=0.005)
        event = json.loads(self.results()[self._seen - 1].body)
        return event["event"], event["payload"]

    def count(self, request: str) -> int:
        """How often flyte got a request."""
        return sum(f"{each.method} {each.path}" == request for each in self.server.requests)

    def wait_for(self, request: str, count: int) -> None:
        wait_until(lambda: self.count(request) >= count, f"{count} times {request}")

    def wait_idle(self, pack_key: str = "demo") -> None:
        """Wait until no slot of the pack is in use."""
        wait_until(lambda: self.view(pack_key).running == 0, "no action runs")

    def close(self, seconds: float = 10) -> int:
        return self.pipeline.stop(time.monotonic() + seconds)


def act(server: ScriptedServer, number: int = 1, **more: Any) -> bytes:
    """The answer to a take of the pack ``Demo``; its result will be accepted."""
    server.on(f"POST /v1/packs/Demo/actions/a{number}/result", reply(202))
    return reply(200, action(server.url, "Demo", f"a{number}", **more))


class HandlerGate:
    """A handler that waits until the test lets it continue."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.attempts: list[tuple[str, int]] = []

    def __call__(self, input: Any, action: Any) -> Event:
        self.attempts.append((action.id, action.attempt))
        self.arrived.release()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return OK(action.attempt)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE_SECONDS)


def _with_taker(parts: Parts, options: Mapping[str, Any]) -> Parts:
    taker = Taker(
        parts.served.packs,
        parts.client,
        parts.registrations,
        parts.journal,
        parts.clock,
        parts.counters,
        **options,
    )
    workers = WorkerPool(parts.schedule.turns, parts.journal, taker, parts.runner, parts.watch)
    return replace(parts, workers=workers)
