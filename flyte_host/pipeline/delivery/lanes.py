"""What waits for delivery, in its order.

Owns which entry comes after which and when it is due, as plain data: no thread, no clock. Must not
know what a delivery is. Not thread-safe: ``deliveries`` guards it.
"""

import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable

from flyte_host.pipeline.journal import Kind, Owed

_Lane = tuple[Kind, str, int]
"""What must keep its order: all events of a pack (number 0), or one result."""


class Lanes:
    """The entries that are owed, by lane; times are seconds of the caller's clock.

    Lanes that are due take turns by pack and kind, so that nobody waits behind the thousands of
    another. A step costs O(log n), however many wait.
    """

    def __init__(self) -> None:
        self._entries: dict[_Lane, deque[Owed]] = {}
        self._later: list[tuple[float, int, _Lane]] = []
        self._order = itertools.count()
        self._due: OrderedDict[tuple[str, Kind], deque[_Lane]] = OrderedDict()
        self._under_way: set[_Lane] = set()
        self._waiting: Counter[tuple[Kind, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __len__(self) -> int:
        """How many entries wait, those under way among them."""
        return sum(len(set(entries)) for entries in self._entries.values())

    def add(self, owed: Owed) -> None:
        """Put an entry behind those of its lane."""
        if self._append(owed):
            self._queue(_lane_of(owed))

    def add_under_way(self, result: Owed) -> bool:
        """Add a result whose delivery begins now; False if it is there already."""
        lane = _lane_of(result)
        if lane in self._entries:
            return False
        self._append(result)
        self._under_way.add(lane)
        return True

    def take_up(self, waiting: Iterable[Owed]) -> None:
        """Add those that are in no lane.

        A head under way is added too: it may have been parked, and be waiting again since just now.
        """
        known = {
            each
            for lane, entries in self._entries.items()
            for each in itertools.islice(entries, int(lane in self._under_way), None)
        }
        for owed in waiting:
            if owed not in known:
                self.add(owed)

    def waiting(self, pack_key: str) -> int:
        """How many entries of the pack wait, those under way among them."""
        return sum(self._waiting[kind, pack_key] for kind in Kind)

    def events(self, pack_key: str) -> int:
        """How many events of the pack wait, the one under way among them."""
        return self._waiting[Kind.EVENT, pack_key]

    def by_kind(self) -> dict[Kind, tuple[int, int]]:
        """Of each kind, how many entries wait, and the highest of their numbers."""
        entries = [each for lane in self._entries.values() for each in lane]
        numbers = {kind: [each.number for each in entries if each.kind is kind] for kind in Kind}
        return {kind: (len(found), max(found, default=0)) for kind, found in numbers.items()}

    def next_due(self, now: float) -> float | None:
        """When the next head is due, ``now`` if one is; None while none is."""
        while self._later and self._later[0][0] <= now:
            self._queue(heapq.heappop(self._later)[2])
        if self._due:
            return now
        return self._later[0][0] if self._later else None

    def begin(self) -> Owed:
        """The head of a lane that is due, as :meth:`next_due` says; under way from now on."""
        turn, lanes = self._due.popitem(last=False)
        lane = lanes.popleft()
        if lanes:
            self._due[turn] = lanes  # behind all others
        self._under_way.add(lane)
        return self._entries[lane][0]

    def again(self, owed: Owed, at: float) -> None:
        """Let the head be due again: it could not be delivered."""
        lane = _lane_of(owed)
        self._under_way.discard(lane)
        heapq.heappush(self._later, (at, next(self._order), lane))

    def done(self, owed: Owed) -> None:
        """Remove the head, which no longer waits; the next one of its lane is due."""
        lane = _lane_of(owed)
        self._under_way.discard(lane)
        self._waiting[owed.kind, owed.pack_key] -= 1
        entries = self._entries[lane]
        entries.popleft()
        if entries:
            self._queue(lane)
        else:
            del self._entries[lane]

    def _append(self, owed: Owed) -> bool:
        """Whether it is the first of its lane."""
        self._waiting[owed.kind, owed.pack_key] += 1
        entries = self._entries.setdefault(_lane_of(owed), deque())
        entries.append(owed)
        return len(entries) == 1

    def _queue(self, lane: _Lane) -> None:
        kind, pack_key, _ = lane
        self._due.setdefault((pack_key, kind), deque()).append(lane)


def _lane_of(owed: Owed) -> _Lane:
    return owed.kind, owed.pack_key, 0 if owed.kind is Kind.EVENT else owed.number
