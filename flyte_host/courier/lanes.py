"""What waits for delivery, in its order.

Owns which entry comes after which and when it is due, as plain data: no thread, no clock. Must not
know what a delivery is. Not thread-safe: ``delivering`` guards it.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from flyte_host.journal import Delivery, Kind


class Lane(NamedTuple):
    """What must keep its order: all events of a pack (no ``number``), or one result."""

    kind: Kind
    instance: str
    number: int = 0


class Lanes:
    """The numbers of entries, by lane; times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._numbers: dict[Lane, deque[int]] = {}
        self._due: list[tuple[float, int, Lane]] = []
        self._order = itertools.count()
        self._under_way: set[Lane] = set()
        self._waiting: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __len__(self) -> int:
        """How many entries wait, those under way among them."""
        return sum(len(set(numbers)) for numbers in self._numbers.values())

    def add(self, delivery: Delivery, now: float) -> None:
        """An entry comes after those of its lane."""
        lane = _lane_of(delivery)
        self._waiting[lane.instance] += 1
        if lane in self._numbers:
            self._numbers[lane].append(delivery.number)
        else:
            self._numbers[lane] = deque([delivery.number])
            self._schedule(lane, now)

    def take_up(self, waiting: Iterable[Delivery], now: float) -> None:
        """Add those that are in no lane.

        A head under way is added too: it may have been parked, and be waiting again since just now.
        """
        known = {
            (lane.kind, number)
            for lane, numbers in self._numbers.items()
            for number in itertools.islice(numbers, int(lane in self._under_way), None)
        }
        for delivery in waiting:
            if (delivery.kind, delivery.number) not in known:
                self.add(delivery, now)

    def waiting(self, instance: str) -> int:
        """How many entries of the pack wait, those under way among them."""
        return self._waiting[instance]

    def events(self, instance: str) -> int:
        """How many events of the pack wait, the one under way among them."""
        return len(self._numbers.get(Lane(Kind.EVENT, instance), ()))

    def next_due(self) -> float | None:
        """When the next head is due; None while none is."""
        return self._due[0][0] if self._due else None

    def begin(self) -> tuple[Lane, int]:
        """The lane that is due first and its head, which is under way from now on."""
        lane = heapq.heappop(self._due)[2]
        self._under_way.add(lane)
        return lane, self._numbers[lane][0]

    def again(self, lane: Lane, at: float) -> None:
        """The head could not be delivered: it is due again."""
        self._under_way.discard(lane)
        self._schedule(lane, at)

    def done(self, lane: Lane, now: float) -> None:
        """The head waits no more; the next one of its lane is due."""
        self._under_way.discard(lane)
        self._waiting[lane.instance] -= 1
        numbers = self._numbers[lane]
        numbers.popleft()
        if numbers:
            self._schedule(lane, now)
        else:
            del self._numbers[lane]

    def _schedule(self, lane: Lane, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._order), lane))


def _lane_of(delivery: Delivery) -> Lane:
    number = 0 if delivery.kind is Kind.EVENT else delivery.number
    return Lane(delivery.kind, delivery.instance, number)
