"""One request to flyte that stays open, through which flyte announces actions at once.

Owns when it is made again. A flyte that does not link to it is polled; so is one that answers with
errors. Must not know how flyte is called.
"""

import logging
import threading
from collections.abc import Iterable

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.clock import Clock
from flyte_host.errors import FlyteError
from flyte_host.model import HeardNews
from flyte_host.packs import ServedPack
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

HOLD_SECONDS = 50.0
"""How long flyte may keep the request open: proxies usually wait a minute."""
LEAST_HOLD_SECONDS = 5.0
"""The same if a proxy waits less, and after a failure, so that a recovery shows soon."""
LEAST_SECONDS = 0.02
"""The least time between two requests: packs that find work take more by themselves."""
ELSEWHERE_SECONDS = 0.25
"""The same if another flyte answered than before: it announces all that waits once more."""
EMPTY_SECONDS = 1.0
"""The same if there is no news: a flyte that keeps many requests open answers more ones at once."""
CHECK_SECONDS = 45.0
"""How often, at least, a request asks for all that waits and says that the packs are alive."""
RETRY_SECONDS, RETRY_CAP_SECONDS = 1.0, 60.0


class WakeListener:
    """Wakes packs from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        client: FlyteClient,
        packs: Iterable[ServedPack],
        schedule: Schedule,
        clock: Clock,
        watch: ThreadWatch,
    ) -> None:
        self._client = client
        served = list(packs)
        self._definitions = [pack.definition for pack in served]
        self._is_of_use = any(pack.commands for pack in served)
        self._schedule = schedule
        self._clock = clock
        self._stopping = threading.Event()
        self._cursor = ""
        self._failures = 0
        self._hold_seconds = HOLD_SECONDS
        self._cut_after_seconds = 0.0
        self._checked_at = clock.monotonic()
        self._thread = watch.make_thread(self._run, "wake listener", runs_again=True)

    def start(self) -> None:
        """Listen as soon as flyte says where, unless no pack takes anything."""
        if self._is_of_use and not self._client.transport.is_direct:
            self._thread.start()

    def stop(self) -> None:
        """Wake no pack from now on; an open request ends as it would have."""
        self._stopping.set()
        self._client.waiting_known.set()

    def _run(self) -> None:
        self._client.waiting_known.wait()
        while not self._stopping.is_set():
            self._stopping.wait(self._listen())

    def _listen(self) -> float:
        """Ask once; returns how long to rest before the next time."""
        begin = self._clock.monotonic()
        is_check = begin - self._checked_at >= CHECK_SECONDS
        hold = LEAST_HOLD_SECONDS if self._failures else self._hold_seconds
        try:
            news = self._client.wait_for_actions(
                self._definitions, self._cursor, hold, is_check=is_check
            )
        except FlyteError as error:
            return self._fail(error, self._clock.monotonic() - begin)
        if self._stopping.is_set():
            return 0
        if not self._schedule.is_told:
            log.info("flyte announces actions at once: idle packs are rarely polled")
        if self._failures and not _is_elsewhere(self._cursor, news):
            self._ask_for_less()
        least = least_seconds(self._cursor, news)
        self._failures, self._cursor = 0, news.cursor
        # At an older flyte only its polls show that a pack is alive.
        self._schedule.set_told(is_told=True, takes_turns=news.can_check)
        if is_check and news.can_check:
            self._checked_at = begin
            self._schedule.see_idle()
        for pack_name, labels in news.waiting:
            self._schedule.wake(pack_name, labels)
        return max(0.0, begin + least - self._clock.monotonic())

    def _ask_for_less(self) -> None:
        """The flyte that was cut off still runs, so a proxy may have lost its patience."""
        if self._cut_after_seconds > LEAST_HOLD_SECONDS:
            self._hold_seconds = max(LEAST_HOLD_SECONDS, self._cut_after_seconds / 2)

    def _fail(self, error: FlyteError, open_seconds: float) -> float:
        if self._stopping.is_set():
            return 0
        if self._failures == 0:
            self._cut_after_seconds = open_seconds
        if self._schedule.is_told:
            log.info("flyte no longer announces actions; polling packs: %s", error)
        self._schedule.set_told(is_told=False)
        pause = min(RETRY_CAP_SECONDS, RETRY_SECONDS * 2 ** min(self._failures, 6))
        self._failures += 1
        return self._clock.rng.uniform(pause / 2, pause)


def least_seconds(cursor: str, news: HeardNews) -> float:
    """The least time between two requests, by the cursor and the answer of the first one."""
    if _is_elsewhere(cursor, news):
        return ELSEWHERE_SECONDS
    return LEAST_SECONDS if news.waiting or not cursor else EMPTY_SECONDS


def _is_elsewhere(cursor: str, news: HeardNews) -> bool:
    """Whether another flyte answered than the one that the cursor is from."""
    return cursor != "" and cursor.partition(":")[0] != news.cursor.partition(":")[0]
