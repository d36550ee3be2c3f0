"""Room for the events of each pack: how many may wait for flyte before observers have to.

Owns the limit, and who waits for it. Must not know what brings events away.
"""

import logging
import threading

from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.text import counted

log = logging.getLogger(__name__)

MOST_EVENTS = 100_000
"""How many events of one pack may wait for flyte; more are not raised until a tenth is gone."""


class EventRooms:
    """``lock`` guards the lanes, whose events are counted."""

    def __init__(
        self, lanes: Lanes, lock: threading.Lock, *, most_events: int = MOST_EVENTS
    ) -> None:
        self._lanes = lanes
        self._lock = lock
        self._most_events = most_events
        self._rooms: dict[str, threading.Condition] = {}
        self._is_lifted = False

    def wait(self, pack_key: str) -> None:
        """Return when the pack may raise one more event; several at once may pass the limit."""
        with self._lock:
            if not self._is_full(pack_key, self._most_events):
                return
            room = self._rooms.setdefault(pack_key, threading.Condition(self._lock))
        # Without the lock, as everywhere: a plugin may listen to the log and call back.
        log.warning(
            "%s of pack %s wait for flyte: it can raise no more until some are delivered",
            counted(self._most_events, "event"),
            pack_key,
            extra={"pack": pack_key},
        )
        with room:
            while self._is_full(pack_key, max(1, self._most_events * 9 // 10)):
                room.wait()

    def left(self, pack_key: str) -> None:
        """One event fewer waits. The caller holds the lock."""
        if room := self._rooms.get(pack_key):
            room.notify_all()

    def lift(self) -> None:
        """Let everybody through from now on. The caller holds the lock."""
        self._is_lifted = True
        for room in self._rooms.values():
            room.notify_all()

    def _is_full(self, pack_key: str, events: int) -> bool:
        return not self._is_lifted and self._lanes.events(pack_key) >= events
