"""Where one worker waits and looks at the network for all.

Owns who looks, and since when nobody does. It is a worker with nothing better to do, while any
request is under way. ``timetable`` guards it with its lock, so that this is decided together with
everything else that a worker could do.
"""

import math
import threading

from flyte_host.client.network import Network
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.jobs import Job


class Lookout:
    """Every method is called with the lock held; times are seconds of the caller's clock."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._network: Network | None = None
        self._seen_at = -math.inf
        self._has_seen = False
        self._is_taken = False
        self.is_manned = False
        """Whether a worker looks now, and has not been called."""
        self.until = math.inf
        """When that one looks at the clock again."""

    def open(self, network: Network) -> None:
        """Look at this network from now on."""
        self._network = network

    @property
    def is_open(self) -> bool:
        """Whether requests go out to a network, so that no worker blocks on one."""
        return self._network is not None

    def note(self, now: float) -> None:
        """A request went out; if there are others, somebody looks already."""
        if self._network is not None and self._network.under_way == 1:
            self._seen_at = now

    def since(self) -> float:
        """Since when somebody should look; infinity: somebody does, or nothing is under way.

        A worker that was called must leave before another may look: else that one may get the call.
        """
        if self._is_taken or self._network is None or not self._network.under_way:
            return math.inf
        return self._seen_at

    def relief_at(self, now: float) -> float:
        """When another worker has to be awake, in case the one that looks has left by then."""
        at = self._seen_at + BACK_SECONDS
        return at if at > now else math.inf

    def take(self, now: float) -> Job | None:
        """The job of attending to what was seen, or of looking if nobody has for some time."""
        is_late = self.since() + BACK_SECONDS <= now
        if self._network is None or not (self._has_seen or is_late):
            return None
        self._has_seen, self._seen_at = False, now
        return self._network.attend

    def man(self, now: float) -> None:
        """The caller is about to :meth:`wait`."""
        self.is_manned = self._is_taken = True
        self._seen_at = now

    def wait(self, until: float, seconds: float) -> bool:
        """Look until something or a call comes, at most for ``seconds``; whether it was a call."""
        self.until, has_seen = until, False
        self._lock.release()
        try:
            has_seen = self._network is not None and self._network.look(seconds)
        finally:
            self._lock.acquire()
            was_called, self._has_seen = not self.is_manned, has_seen
            self.is_manned = self._is_taken = False
        return was_called

    def notify(self) -> None:
        """Call the one that looks."""
        self.is_manned = False
        if self._network is not None:
            self._network.interrupt()
