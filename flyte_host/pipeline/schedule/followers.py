"""Which packs find work after a result or an event of a pack: what flows did, they do again.

Plain data: ``schedule`` guards it. Bounded, and it forgets: each pack has a few followers, whose
score grows when they find work soon after it and shrinks when they do not.
"""

import math

KEPT = 8
"""How many followers a pack has at most."""
SOURCES = 4
"""How many of the packs whose results were accepted last may be the reason for a find."""
WINDOW_SECONDS = 10.0
"""How long after a result it may be the reason for a find: an ordinary poll may make the find."""
GAIN = 0.3
LOSS = 0.8
FORGOTTEN = 0.02
"""A follower whose score falls below this is forgotten."""
UNFOLLOWED = 5
"""After this many results that nobody followed, a pack is not expected to have followers."""


class Followers:
    """Of all packs of a host; times are in seconds."""

    def __init__(self) -> None:
        self._scores: dict[str, dict[str, float]] = {}
        self._accepted_at: dict[str, float] = {}
        self._unfollowed: dict[str, int] = {}

    def accept(self, pack_key: str, now: float) -> None:
        """flyte accepted a result or an event of the pack."""
        self._accepted_at.pop(pack_key, None)
        self._accepted_at[pack_key] = now  # at the end: the order is that of time
        if pack_key not in self._scores:
            self._unfollowed[pack_key] = min(UNFOLLOWED, self.unfollowed(pack_key) + 1)
        if len(self._accepted_at) > SOURCES:
            del self._accepted_at[next(iter(self._accepted_at))]

    def accepted_at(self, pack_key: str) -> float:
        """When something of the pack was last accepted, while that still matters."""
        return self._accepted_at.get(pack_key, -math.inf)

    def likely(self, pack_key: str) -> list[str]:
        """The pack's followers, the likeliest first."""
        scores = self._scores.get(pack_key, {})
        return sorted(scores, key=scores.__getitem__, reverse=True)

    def unfollowed(self, pack_key: str) -> int:
        """How often something of a pack without followers was accepted; at most UNFOLLOWED."""
        return self._unfollowed.get(pack_key, 0)

    def find(self, pack_key: str, now: float) -> None:
        """The pack found work after it had none.

        The last result that it is known to follow is the reason, and no earlier one. If it is not
        known to follow any, each of the last ones may be.
        """
        sources = self._sources(now)
        known = [each for each in sources if pack_key in self._scores.get(each, {})]
        for source in known[1:]:
            self._lower(source, pack_key)
        gain = GAIN
        for source in known[:1] or sources:
            self._raise(source, pack_key, gain)
            gain /= 2

    def miss(self, pack_key: str, now: float) -> None:
        """The pack was polled several times after a result, and found nothing."""
        for source in self._sources(now):
            if pack_key in self._scores.get(source, {}):
                self._lower(source, pack_key)

    def _raise(self, source: str, pack_key: str, gain: float) -> None:
        scores = self._scores.setdefault(source, {})
        score = scores.get(pack_key, 0.0)
        scores[pack_key] = score + gain * (1 - score)
        self._unfollowed.pop(source, None)
        if len(scores) > KEPT:
            del scores[min(scores, key=scores.__getitem__)]

    def _lower(self, source: str, pack_key: str) -> None:
        scores = self._scores[source]
        scores[pack_key] *= LOSS
        if scores[pack_key] < FORGOTTEN:
            del scores[pack_key]
        if not scores:
            del self._scores[source]

    def _sources(self, now: float) -> list[str]:
        """Whose results may be the reason, latest first."""
        recent = [key for key, at in self._accepted_at.items() if now - at <= WINDOW_SECONDS]
        return recent[::-1]
