"""How many extra polls all packs of a host may make together.

Plain data: ``schedule`` guards it.
"""

EXTRA_POLLS_PER_SECOND = 20.0
EXTRA_POLLS_BURST = 40.0


class HintBudget:
    """A bucket of tokens, one for each extra poll."""

    def __init__(self, now: float, per_second: float = EXTRA_POLLS_PER_SECOND) -> None:
        self._per_second = per_second
        self._tokens = EXTRA_POLLS_BURST
        self._earned_at = now

    def wait_seconds(self, now: float) -> float:
        """Until there is a token; tokens below zero are already lent."""
        earned = (now - self._earned_at) * self._per_second
        self._tokens = min(EXTRA_POLLS_BURST, self._tokens + earned)
        self._earned_at = now
        return max(0.0, (1 - self._tokens) / self._per_second)

    def spend(self) -> None:
        """Use a token, or borrow one."""
        self._tokens -= 1
