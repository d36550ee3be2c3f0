"""Takes actions from flyte, for every pack, with a few threads.

Owns the threads and what each answer of flyte means for the schedule. A take is irrevocable, so it
is made only with a slot reserved and a journal that can be written, is never cut off, and is in the
journal before its handler starts. Must not know how actions run or results travel.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from flyte_host.client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.client.wire import encode_fatal
from flyte_host.counters import Counters
from flyte_host.errors import FlyteAway, FlyteError, FlyteFailed, FlyteUnknown
from flyte_host.model import Registration, Taken
from flyte_host.packs import ServedPack
from flyte_host.pipeline.dispatcher import Dispatcher
from flyte_host.pipeline.journal import Journal, JournalError, OpenAction
from flyte_host.pipeline.poller_schedule import CONTENTION_LIMIT, LADDER_SECONDS, Schedule

log = logging.getLogger(__name__)

THREADS = 8
JOURNAL_PAUSE_SECONDS = 2.0
"""How often a pack asks whether the journal can be written again."""
HINT_SECONDS = LADDER_SECONDS[0] / 2
"""A hint so soon after another adds nothing: the first extra poll is still to come."""
KEEP_ALIVE_SECONDS = 240.0
"""How often a pack registers again that takes nothing: flyte calls packs live for ten minutes."""
OF_A_TAKE = {FlyteFailed.word: "contention", FlyteUnknown.word: "forgotten"}
"""What an error is counted as where it is that of a take."""


class Poller:
    """Polls until :meth:`stop`; packs are registered by their first poll."""

    def __init__(
        self,
        packs: Mapping[str, ServedPack],
        client: FlyteClient,
        registrations: Registrations,
        journal: Journal,
        *,
        poll_interval_seconds: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        counts: Counters | None = None,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        journal_pause_seconds: float = JOURNAL_PAUSE_SECONDS,
    ) -> None:
        self._packs = packs
        self._with_commands = [each for each, pack in packs.items() if pack.commands]
        self._hinted_at = -math.inf
        self._client = client
        self._registrations = registrations
        self._journal = journal
        self._counts = counts or Counters()
        self._now = now
        self._clock = clock
        self._keep_alive_seconds = keep_alive_seconds
        self._journal_pause_seconds = journal_pause_seconds
        rng = rng or random.Random()  # noqa: S311  jitter
        self._changed = threading.Condition()
        self._schedule = Schedule(
            packs, interval_seconds=poll_interval_seconds, now=clock(), rng=rng
        )
        self._stopping = False
        self._polled_at: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._paused: dict[str, datetime] = {}
        self.threads = [
            threading.Thread(target=self._run, name=f"taker-{number}", daemon=True)
            for number in range(min(THREADS, max(1, len(packs))))
        ]

    def start(self, slots: Dispatcher) -> None:
        """Take actions for ``slots``, the dispatcher."""
        self._slots = slots
        for thread in self.threads:
            thread.start()

    def stop(self, deadline: float) -> bool:
        """No take begins any more; wait for those under way. False: the deadline came first."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - self._clock()))
        return not any(thread.is_alive() for thread in self.threads)

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        """An action for a pack of this name was queued: poll those it may be for at once."""
        with self._changed:
            for pack_key, pack in self._packs.items():
                ours = pack.definition
                if ours.name == pack_name and labels.items() <= dict(ours.labels).items():
                    self._schedule.wake(pack_key, self._clock())
            self._changed.notify_all()

    def hint(self) -> None:
        """Flyte accepted a result or an event: flows may have queued work for any pack.

        Thousands in a second cost no more than some dozens.
        """
        with self._changed:
            now = self._clock()
            if now - self._hinted_at < HINT_SECONDS:
                return
            self._hinted_at = now
            self._schedule.hint(self._with_commands, now)
            self._changed.notify_all()

    def pause(self, pack_key: str) -> None:
        """Begin no take of the pack any more, only keep it registered; twice is no error."""
        with self._changed:
            if pack_key in self._paused:
                return
            self._paused[pack_key] = self._now()
            if self._packs[pack_key].commands:
                self._schedule.pause(pack_key, self._clock())
            self._changed.notify_all()
        log.info("paused: no more actions are taken", extra={"pack": pack_key})

    def resume(self, pack_key: str) -> None:
        """Take the pack's actions again, at once."""
        with self._changed:
            if self._paused.pop(pack_key, None) is None:
                return
            if self._packs[pack_key].commands:
                self._schedule.resume(pack_key, self._clock())
            self._changed.notify_all()
        log.info("resumed", extra={"pack": pack_key})

    def paused_since(self, pack_key: str) -> datetime | None:
        """When the pack was paused; None while it is not."""
        return self._paused.get(pack_key)

    def slot_freed(self, pack_key: str) -> None:
        """A handler of the pack ended."""
        with self._changed:
            if self._schedule.slot_freed(pack_key, self._clock()):
                self._changed.notify_all()

    def last_polled(self, pack_key: str) -> float | None:
        """The clock's time of the pack's last good poll."""
        return self._polled_at.get(pack_key)

    def problem(self, pack_key: str) -> str:
        """Why the pack's last poll went wrong; empty if it did not."""
        return self._problems.get(pack_key, "")

    @property
    def extra_polls(self) -> int:
        """How many polls were made because of a hint."""
        return self._schedule.extra_polls

    def _run(self) -> None:
        while (pack_key := self._next()) is not None:
            try:
                self._poll(pack_key)
            except Exception as error:
                log.exception("a poll failed in the host itself", extra={"pack": pack_key})
                self._failed(pack_key, f"internal error: {error}")

    def _next(self) -> str | None:
        with self._changed:
            while not self._stopping:
                due = self._schedule.next_due()
                wait = None if due is None else due[0] - self._clock()
                if due is not None and wait is not None and wait <= 0:
                    self._schedule.begin(due[1], self._clock())
                    return due[1]
                self._changed.wait(wait)
        return None

    def _poll(self, pack_key: str) -> None:
        takes = bool(self._packs[pack_key].commands) and pack_key not in self._paused
        age = None if takes else self._keep_alive_seconds / 2
        try:
            registration = self._registrations.get(pack_key, not_older_than_seconds=age)
        except FlyteAway as error:
            self._failed(pack_key, str(error), error.retry_in_seconds)
        except FlyteError as error:
            self._failed(pack_key, str(error))
        else:
            self._poll_actions(pack_key, registration) if takes else self._kept(pack_key)

    def _kept(self, pack_key: str) -> None:
        self._good(pack_key)
        with self._changed:
            now = self._clock()
            self._schedule.rest(pack_key, now, self._keep_alive_seconds)
            if self._packs[pack_key].commands and pack_key not in self._paused:
                self._schedule.resume(pack_key, now)  # it was, while this turn was under way

    def _poll_actions(self, pack_key: str, registration: Registration) -> None:
        if problem := self._journal.problem():
            self._failed(pack_key, problem, self._journal_pause_seconds)
            return
        if not self._reserve(pack_key):
            return
        try:
            opened = self._take(pack_key, registration)
        except BaseException as error:
            self._slots.release(pack_key)
            if not isinstance(error, FlyteError | JournalError):
                raise
            self._take_failed(pack_key, registration, error)
            return
        if opened is None:
            self._slots.release(pack_key)  # before it may be due again: it must find a slot then
        self._good(pack_key)
        with self._changed:
            ended = self._schedule.empty if opened is None else self._schedule.found
            ended(pack_key, self._clock())
            self._changed.notify_all()
        if opened is not None:
            self._slots.submit(opened)

    def _reserve(self, pack_key: str) -> bool:
        """Under the lock, so that a slot freed meanwhile is not missed."""
        with self._changed:
            if pack_key in self._paused:  # since this turn began
                self._schedule.rest(pack_key, self._clock(), self._keep_alive_seconds)
                return False
            if self._slots.reserve(pack_key):
                return True
            self._schedule.wait_for_slot(pack_key)
            return False

    def _take(self, pack_key: str, registration: Registration) -> OpenAction | None:
        try:
            taken = self._client.take(registration)
        except FlyteError as error:
            self._counts.took(pack_key, OF_A_TAKE.get(error.word, error.word))
            raise
        self._counts.took(pack_key, "empty" if taken is None else "action")
        if taken is None:
            return None
        try:
            return self._journal.take(pack_key, self._packs[pack_key].definition.name, taken)
        except Exception as error:
            self._refuse(pack_key, taken, str(error))
            raise

    def _refuse(self, pack_key: str, taken: Taken, problem: str) -> None:
        """What cannot be written down is not run; flyte is told so, since it won't ask again."""
        fields = {"pack": pack_key, "command": taken.command, "action": taken.id}
        log.critical("%s ends as FATAL: %s", taken.command, problem, extra=fields)
        body = encode_fatal(f"the host could not write down {taken.command!r}", self._now())
        try:
            self._client.post_result(taken.result_href, body)
        except FlyteError as error:
            log.critical("that FATAL was not accepted: %s", error, extra=fields)

    def _take_failed(
        self, pack_key: str, registration: Registration, error: FlyteError | JournalError
    ) -> None:
        if isinstance(error, FlyteAway):
            self._failed(pack_key, str(error), error.retry_in_seconds)
        elif isinstance(error, JournalError):  # told by the journal, once for all packs
            self._failed(pack_key, str(error), self._journal_pause_seconds)
        elif isinstance(error, FlyteFailed):
            self._contended(pack_key, error)
        elif isinstance(error, FlyteUnknown):
            self._registrations.forget(pack_key, registration)
            # At once, unless flyte knows no pack however often it registers.
            self._failed(pack_key, str(error), None if self.problem(pack_key) else 0)
        else:
            self._failed(pack_key, str(error))

    def _good(self, pack_key: str) -> None:
        self._polled_at[pack_key] = self._clock()
        if self._problems.pop(pack_key, ""):
            log.info("polls again", extra={"pack": pack_key})

    def _failed(self, pack_key: str, problem: str, pause_seconds: float | None = None) -> None:
        with self._changed:
            self._schedule.failed(pack_key, self._clock(), pause_seconds)
            stopping = self._stopping
        self._note(pack_key, problem, quiet=pause_seconds is not None or stopping)

    def _contended(self, pack_key: str, error: FlyteFailed) -> None:
        with self._changed:
            self._schedule.contended(pack_key, self._clock())
            repeated = self._schedule.is_contended(pack_key)
        if repeated:
            self._note(pack_key, f"{error}, {CONTENTION_LIMIT} times in a row", quiet=False)

    def _note(self, pack_key: str, problem: str, *, quiet: bool) -> None:
        """Say a problem once; an outage is told by the client, once for all packs."""
        if self._problems.get(pack_key) != problem and not quiet:
            log.warning("cannot poll: %s", problem, extra={"pack": pack_key})
        self._problems[pack_key] = problem
