"""Which pack is due for a take, and how many takes of it may be under way.

Owns every rule about when to ask flyte, as plain data: no thread, no clock, no HTTP of its own.
Must not know what a take finds, only how it ended. Not thread-safe: ``poller`` guards it.
"""

import heapq
import math
import random
from collections.abc import Iterable

LADDER_SECONDS = (0.05, 0.15, 0.5, 1.5)
"""Pauses of the extra polls after something may have queued work for a pack."""
LIKELY_PACKS = 8
"""How many packs one hint polls: those that last found work."""
EXTRA_POLLS_PER_SECOND = 20.0
EXTRA_POLLS_BURST = 40.0
CONTENTION_SECONDS = 0.05
CONTENTION_LIMIT = 8
"""So many 500s in a row without a success between are no lost races any more."""


class _Turn:
    """One pack's place in the schedule."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.under_way = 0
        self.width = 1
        self.step = len(LADDER_SECONDS)
        self.contended = 0
        self.failures = 0
        self.waits_for_slot = False
        self.woken = False
        self.extra = False
        self.last_found = -math.inf
        self.paused_until: float | None = None


class Schedule:
    """Times are seconds of one monotonic clock, given by the caller."""

    def __init__(
        self,
        pack_keys: Iterable[str],
        *,
        interval_seconds: float,
        now: float,
        rng: random.Random,
        max_width: int = 8,
    ) -> None:
        self._interval = interval_seconds
        self._rng = rng
        self._max_width = max_width
        self._turns = {pack_key: _Turn(now) for pack_key in pack_keys}
        self._tokens = EXTRA_POLLS_BURST
        self._tokens_at = now
        self.extra_polls = 0

    def next_due(self) -> tuple[float, str] | None:
        """The pack that is due first, and when; it may lie in the future."""
        due = min(
            (
                (turn.due if turn.paused_until is None else turn.paused_until, pack_key)
                for pack_key, turn in self._turns.items()
                if turn.under_way < turn.width
            ),
            default=None,
        )
        return None if due is None or due[0] == math.inf else due

    def begin(self, pack_key: str, now: float) -> None:
        """A take goes out; more of the same pack may follow at once while it is wide."""
        turn = self._turns[pack_key]
        turn.under_way += 1
        if turn.paused_until is not None:
            turn.paused_until = math.inf
            return
        self.extra_polls += turn.extra
        turn.extra = False
        turn.due = now if turn.under_way < turn.width else math.inf

    def found(self, pack_key: str, now: float) -> None:
        """The take got an action: the next one goes out at once, and one more beside it."""
        turn = self._ended(pack_key)
        turn.width = min(turn.width + 1, self._max_width)
        turn.last_found = now
        turn.due = now

    def empty(self, pack_key: str, now: float) -> None:
        """The take got nothing and gave its slot back."""
        turn = self._ended(pack_key)
        turn.waits_for_slot = False
        turn.width = max(1, turn.width - 1)
        if turn.woken:
            turn.woken = False
            turn.due = now
        else:
            self._rest(turn, now)

    def contended(self, pack_key: str, now: float) -> float:
        """The take met a 500: a lost race until it repeats. Returns the pause until the next."""
        turn = self._turns[pack_key]
        turn.under_way -= 1
        turn.width = max(1, turn.width // 2)
        turn.contended += 1
        if turn.contended > CONTENTION_LIMIT:
            pause = self._backoff(turn)
            turn.due = now + pause
        else:
            pause = self._rng.uniform(0, CONTENTION_SECONDS * turn.contended)
            turn.due = min(turn.due, now + pause)
        return pause

    def is_contended(self, pack_key: str) -> bool:
        """Whether the 500s repeat so often that they are no lost races any more."""
        return self._turns[pack_key].contended > CONTENTION_LIMIT

    def failed(self, pack_key: str, now: float, pause_seconds: float | None = None) -> float:
        """The take could not be made; without a pause of the caller's, pauses grow."""
        turn = self._turns[pack_key]
        turn.under_way -= 1
        turn.width = 1
        pause = self._backoff(turn) if pause_seconds is None else pause_seconds
        turn.due = now + pause
        if turn.paused_until is not None:
            turn.paused_until = now + pause
        return pause

    def wait_for_slot(self, pack_key: str) -> None:
        """The pack has no free slot: it is due again when it has one."""
        turn = self._turns[pack_key]
        turn.under_way -= 1
        turn.waits_for_slot = True
        turn.due = math.inf

    def slot_freed(self, pack_key: str, now: float) -> bool:
        """A slot of the pack is free; whether the pack waited for one, and is due now."""
        turn = self._turns[pack_key]
        if not turn.waits_for_slot:
            return False
        turn.waits_for_slot = False
        turn.due = now
        return True

    def rest(self, pack_key: str, now: float, pause_seconds: float) -> None:
        """The turn took nothing, it kept a registration young: no commands, or a pause."""
        turn = self._ended(pack_key)
        if turn.paused_until is None:
            turn.due = now + pause_seconds
        else:
            turn.paused_until = now + pause_seconds

    def pause(self, pack_key: str, now: float) -> None:
        """Until :meth:`resume` the pack is due once now, then as seldom as :meth:`rest` says."""
        self._turns[pack_key].paused_until = now

    def resume(self, pack_key: str, now: float) -> None:
        """The pack is due at once, if it has a free slot."""
        turn = self._turns[pack_key]
        turn.paused_until = None
        if not turn.waits_for_slot:
            turn.due = now

    def wake(self, pack_key: str, now: float) -> None:
        """There is work for the pack, for certain: a take under way may have missed it."""
        turn = self._turns[pack_key]
        if not turn.waits_for_slot and turn.under_way < turn.width:
            turn.due = min(turn.due, now)
        else:
            turn.woken = True

    def hint(self, pack_keys: Iterable[str], now: float) -> None:
        """There may be work for some packs; the likeliest are polled on a short ladder."""
        likely = heapq.nlargest(LIKELY_PACKS, pack_keys, lambda each: self._turns[each].last_found)
        for pack_key in likely:
            turn = self._turns[pack_key]
            turn.step = 0
            if turn.waits_for_slot or turn.under_way or turn.failures:
                continue
            if not turn.extra:
                turn.due = min(turn.due, now + self._climb(turn, now))
            elif self._wait_for_token(now) == 0:  # its token is spent: only sooner
                turn.due = min(turn.due, now + LADDER_SECONDS[0])

    def _ended(self, pack_key: str) -> _Turn:
        turn = self._turns[pack_key]
        turn.under_way -= 1
        turn.contended = 0
        turn.failures = 0
        return turn

    def _rest(self, turn: _Turn, now: float) -> None:
        """The pause after an empty take, unless a take beside it has set an earlier one."""
        turn.due = min(turn.due, now + self._climb(turn, now))

    def _climb(self, turn: _Turn, now: float) -> float:
        """The next step of the ladder, later if the budget wants it so, else the interval."""
        idle = self._interval * self._rng.uniform(0.8, 1.0)
        if turn.step < len(LADDER_SECONDS):
            pause = max(LADDER_SECONDS[turn.step], self._wait_for_token(now))
            if pause < idle:
                self._tokens -= 1
                turn.extra = True
                turn.step += 1
                return pause
        turn.step = len(LADDER_SECONDS)
        return idle

    def _wait_for_token(self, now: float) -> float:
        """Seconds until the budget has another extra poll; tokens below zero are lent already."""
        earned = (now - self._tokens_at) * EXTRA_POLLS_PER_SECOND
        self._tokens = min(EXTRA_POLLS_BURST, self._tokens + earned)
        self._tokens_at = now
        return max(0.0, (1 - self._tokens) / EXTRA_POLLS_PER_SECOND)

    def _backoff(self, turn: _Turn) -> float:
        turn.failures += 1
        ceiling = min(60.0, 0.5 * 2 ** min(turn.failures, 16))
        return self._rng.uniform(ceiling / 2, ceiling)
