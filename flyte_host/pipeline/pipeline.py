"""Everything between flyte and the handlers, wired and in its order.

Owns which part is made from which, and the stages of starting and of stopping by one deadline.
Must not know configuration files, signals or web servers.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from flyte_host.client import FlyteClient, Token
from flyte_host.client.outage import Outage
from flyte_host.client.registrations import Registrations
from flyte_host.clock import Clock
from flyte_host.config import Config, FlyteConfig
from flyte_host.control.controls import Controls
from flyte_host.counters import Counters
from flyte_host.errors import ConfigError
from flyte_host.foreign_code import headline, run_within
from flyte_host.health import Parts
from flyte_host.packs import ServedPacks
from flyte_host.pipeline.courier import Courier
from flyte_host.pipeline.dispatcher import Dispatcher
from flyte_host.pipeline.journal import Journal, OpenAction
from flyte_host.pipeline.observers import Observers
from flyte_host.pipeline.poller import Poller
from flyte_host.pipeline.runner import Runner
from flyte_host.secrets import Scrubber, SecretMissing

log = logging.getLogger(__name__)

CLOSE_SECONDS = 0.1
"""How long closing one part may take past the deadline; a locked journal would take longer."""
OBSERVER_GRACE_SECONDS = 2.0
"""How long the drain waits for an observer that ignores ``stopping``."""


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def make_client(
    flyte: FlyteConfig,
    url: str,
    scrubber: Scrubber,
    outage: Outage,
    environ: Mapping[str, str] = os.environ,
    *,
    counters: Counters,
    clock: Clock,
) -> FlyteClient:
    """A client as configured, for flyte at ``url``; raises ConfigError."""
    try:
        token = None if flyte.token is None else Token(flyte.token, environ, scrubber=scrubber)
    except SecretMissing as error:
        raise ConfigError([f"flyte.token: {error}"]) from error
    return FlyteClient(
        url,
        counters=counters,
        clock=clock,
        timeout_seconds=flyte.timeout_seconds,
        token=token,
        ca_file=flyte.ca_file,
        client_cert_file=flyte.client_cert_file,
        client_key_file=flyte.client_key_file,
        verify=flyte.verify,
        outage=outage,
    )


class Engine:
    """Takes, runs and delivers from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        config: Config,
        url: str,
        registry: ServedPacks,
        scrubber: Scrubber,
        environ: Mapping[str, str],
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        packs = registry.packs
        self.registry = registry
        self._clock = clock
        self._poll_interval_seconds = config.host.poll_interval_seconds
        self._stopping = threading.Event()
        self._time = Clock(now, clock)
        self._outage = Outage(self._time)
        self._counts = counts = Counters({name: pack.commands for name, pack in packs.items()})
        self._client = make_client(
            config.flyte, url, scrubber, self._outage, environ, counters=counts, clock=self._time
        )
        self._journal = Journal(config.host.state, self._time)
        self._runner = Runner(scrubber, now=now, counts=counts)
        self._registrations = Registrations(
            self._client, {key: pack.definition for key, pack in packs.items()}, self._time
        )
        self.poller = Poller(
            packs, self._client, self._registrations, self._journal,
            poll_interval_seconds=self._poll_interval_seconds, now=now, clock=clock, counts=counts,
        )  # fmt: skip
        self._courier = Courier(
            self._journal, self._client, self._registrations,
            self.poller,  # type: ignore[arg-type]
            self._time, counters=counts,
        )  # fmt: skip
        self._dispatcher = Dispatcher(
            packs, self._runner, self._journal, finished=self._courier.deliver,
            slot_freed=self.poller.slot_freed, now=now, clock=clock, counts=counts,
        )  # fmt: skip
        self._observers = Observers(
            packs.values(),
            self._journal,
            emitted=self._courier.add,
            wait_for_room=self._courier.wait_for_room,
            now=now,
            counts=counts,
        )
        self._recovery: threading.Thread | None = None

    def start(self) -> None:
        """Deliver what is owed, settle what was cut off, then take and observe."""
        opened = self._journal.unfinished()  # before anything new is taken: it is not cut off
        self._courier.start()
        self._recovery = threading.Thread(
            target=self._recover, args=(opened,), name="recovery", daemon=True
        )
        self._recovery.start()
        self.poller.start(self._dispatcher)
        self._observers.start()

    def pausing(self) -> Controls:
        """What ``flyte-host ctl`` may ask of it."""
        return Controls(self.registry.packs, self.poller, self._dispatcher, self._courier)

    def parts(self) -> Parts:
        """What the health pages look at."""
        return Parts(
            self.registry,
            self._registrations,
            self.poller,
            self._dispatcher,
            self._journal,
            self._client,
            self._outage,
            self._poll_interval_seconds,
            self._threads,
            self._courier,
            self._counts,
        )

    def stop(self, deadline: float) -> int:
        """Stop by the clock's ``deadline``; returns how much the journal keeps for the next run.

        Closing the parts may take half a second beyond it. A second call does nothing.
        """
        if self._stopping.is_set():
            return 0
        self._stopping.set()
        self._observers.stop()
        self._courier.stop()
        self._dispatcher.abandon()
        if not self.poller.stop(deadline):
            log.warning("a take did not return: what flyte gave out with it stays PENDING there")
        if self._recovery is not None:
            self._recovery.join(max(0.0, deadline - self._clock()))
        running = self._dispatcher.drain(deadline)
        observing = self._observers.join(
            min(deadline, self._clock() + OBSERVER_GRACE_SECONDS), self._clock
        )
        undelivered = self._courier.drain(deadline)
        self._courier.close()
        left = self._close(deadline, running + undelivered)
        for name in observing:
            log.warning("%s did not return when it was asked to stop", name)
        if running or undelivered:
            log.warning(
                "stopped with %d actions running and %d deliveries open: the journal keeps them",
                running,
                undelivered,
            )
        return left

    def _close(self, deadline: float, known: int) -> int:
        """How much the journal keeps, or what is known of it if it does not tell."""
        left = known
        try:
            left = run_within(self._closing_seconds(deadline), self._journal.left)
        except Exception as error:
            log.warning("the journal does not tell what it keeps: %s", headline(error))
        self._runner.close(CLOSE_SECONDS)
        self._client.close()
        try:
            run_within(self._closing_seconds(deadline), self._journal.close)
        except Exception as error:
            log.warning("the journal is left open: %s", headline(error))
        return left

    def _closing_seconds(self, deadline: float) -> float:
        return max(CLOSE_SECONDS, deadline - self._clock())

    def _recover(self, opened: Iterable[OpenAction]) -> None:
        try:
            self._dispatcher.recover(opened)
        except Exception:
            log.exception("what the last run left open could not be settled")

    def _threads(self) -> Iterable[threading.Thread]:
        """The threads without which the host is dead, from their start on."""
        threads = [*self.poller.threads, *self._courier.threads, *self._runner.threads]
        return [thread for thread in threads if thread.ident is not None]
