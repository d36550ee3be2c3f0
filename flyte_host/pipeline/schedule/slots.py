"""The slots of one pack: how many of its actions may run at once, and when it is quarantined.

Plain data: ``schedule`` guards it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Place = Callable[[], str]
"""Says which command runs, and where its handler stands."""


@dataclass(slots=True)
class Slots:
    """``taken`` are all in use, ``running`` those with a take or an action under way,
    ``taking`` those with a take.

    ``stuck`` handlers still run after their timeout, without a slot.
    """

    limit: int
    taken: int = 0
    running: int = 0
    taking: int = 0
    stuck: list[Place] = field(default_factory=list)

    @property
    def quarantined(self) -> bool:
        """Too many handlers are stuck: the pack gets no more actions until some of them end."""
        return len(self.stuck) >= self.limit

    def stick(self, place: Place) -> int:
        """One more is stuck; returns how many are, 0 if that does not quarantine the pack."""
        self.stuck.append(place)
        return len(self.stuck) if self.quarantined else 0

    def unstick(self, place: Place) -> int:
        """One of them has ended; returns how many are still stuck."""
        self.stuck.remove(place)
        return len(self.stuck)

    @property
    def free(self) -> bool:
        """Whether one more action may run."""
        return self.taken < self.limit and not self.quarantined
