"""What waited for flyte through an outage, until all of it has arrived.

Owns the counting. Must not know threads, nor when flyte is away.
"""

from collections import Counter
from collections.abc import Mapping

from flyte_host.pipeline.journal import Kind, Owed


class Arrears:
    """Numbers of a kind only grow, so an entry above the highest that waited came later."""

    def __init__(self, waiting: Mapping[Kind, tuple[int, int]]) -> None:
        """``waiting`` has of each kind how many entries wait, and the highest of their numbers."""
        self._open = sum(count for count, _ in waiting.values())
        self._highest = {kind: highest for kind, (_, highest) in waiting.items()}
        self._arrived: Counter[Kind] = Counter()

    def remove(self, owed: Owed, *, arrived: bool) -> bool:
        """An entry no longer waits; whether it was the last of those that had waited."""
        if not self._open or owed.number > self._highest[owed.kind]:
            return False
        self._arrived[owed.kind] += arrived
        self._open -= 1
        return not self._open

    @property
    def has_arrived(self) -> bool:
        """Whether anything has; the rest was parked or dropped."""
        return self._arrived.total() > 0

    def describe(self) -> str:
        """What has arrived, for people."""
        counts = [(self._arrived[kind], kind) for kind in Kind if self._arrived[kind]]
        return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for count, kind in counts)
