"""What waits for delivery, in its order.

Owns which entry comes after which and when it is due, as plain data: no thread, no clock. Must not
know what a delivery is. Not thread-safe: ``delivering`` guards it.
"""

import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from flyte_host.pipeline.journal import Delivery, Kind


class Lane(NamedTuple):
    """What must keep its order: all events of a pack (no ``number``), or one result."""

    kind: Kind
    pack_key: str
    number: int = 0


class Lanes:
    """The numbers of entries, by lane; times are seconds of the caller's clock.

    Lanes that are due take turns by pack and kind, so that nobody waits behind the thousands of
    another. A step costs O(log n), however many wait.
    """

    def __init__(self) -> None:
        self._numbers: dict[Lane, deque[int]] = {}
        self._later: list[tuple[float, int, Lane]] = []
        self._order = itertools.count()
        self._due: OrderedDict[tuple[str, Kind], deque[Lane]] = OrderedDict()
        self._under_way: set[Lane] = set()
        self._waiting: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __len__(self) -> int:
        """How many entries wait, those under way among them."""
        return sum(len(set(numbers)) for numbers in self._numbers.values())

    def add(self, delivery: Delivery) -> None:
        """An entry comes after those of its lane."""
        lane = _lane_of(delivery)
        self._waiting[lane.pack_key] += 1
        if lane in self._numbers:
            self._numbers[lane].append(delivery.number)
        else:
            self._numbers[lane] = deque([delivery.number])
            self._queue(lane)

    def take_up(self, waiting: Iterable[Delivery]) -> None:
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
                self.add(delivery)

    def waiting(self, pack_key: str) -> int:
        """How many entries of the pack wait, those under way among them."""
        return self._waiting[pack_key]

    def events(self, pack_key: str) -> int:
        """How many events of the pack wait, the one under way among them."""
        return len(self._numbers.get(Lane(Kind.EVENT, pack_key), ()))

    def next_due(self, now: float) -> float | None:
        """When the next head is due, ``now`` if one is; None while none is."""
        while self._later and self._later[0][0] <= now:
            self._queue(heapq.heappop(self._later)[2])
        if self._due:
            return now
        return self._later[0][0] if self._later else None

    def begin(self) -> tuple[Lane, int]:
        """A lane that is due, as :meth:`next_due` says, and its head, under way from now on."""
        turn, lanes = self._due.popitem(last=False)
        lane = lanes.popleft()
        if lanes:
            self._due[turn] = lanes  # behind all others
        self._under_way.add(lane)
        return lane, self._numbers[lane][0]

    def again(self, lane: Lane, at: float) -> None:
        """The head could not be delivered: it is due again."""
        self._under_way.discard(lane)
        heapq.heappush(self._later, (at, next(self._order), lane))

    def done(self, lane: Lane) -> None:
        """The head waits no more; the next one of its lane is due."""
        self._under_way.discard(lane)
        self._waiting[lane.pack_key] -= 1
        numbers = self._numbers[lane]
        numbers.popleft()
        if numbers:
            self._queue(lane)
        else:
            del self._numbers[lane]

    def _queue(self, lane: Lane) -> None:
        self._due.setdefault((lane.pack_key, lane.kind), deque()).append(lane)


def _lane_of(delivery: Delivery) -> Lane:
    number = 0 if delivery.kind is Kind.EVENT else delivery.number
    return Lane(delivery.kind, delivery.pack_key, number)
