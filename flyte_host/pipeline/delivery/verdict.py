"""How an attempt at a delivery ended, and when the next one makes sense."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of an attempt.

    ``pause_seconds`` is the time until the next attempt; None: there is none, since the entry is
    delivered or parked. ``away``: flyte gave no answer, so nothing else can be delivered either.
    """

    pause_seconds: float | None
    away: bool = False
    arrived: bool = False


ARRIVED = Verdict(None, arrived=True)
PARKED = Verdict(None)
