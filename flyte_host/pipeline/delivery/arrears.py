"""What waited for flyte through an outage, until all of it has arrived.

Owns when an outage is over, and the counting. Must not know threads or why flyte was away.
"""

from collections import Counter

from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.journal import Kind, Owed


class Arrears:
    """Looks at the lanes, and is guarded like them.

    Numbers of a kind only grow, so an entry above the highest that waited came later.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._was_away = False
        self._open = 0
        self._highest: dict[Kind, int] = {}
        self._arrived: Counter[Kind] = Counter()

    def begin(self) -> None:
        """flyte is away: what waits when it is back are arrears."""
        self._was_away = True

    def end(self) -> bool:
        """An entry has arrived; whether that ended an outage."""
        if not self._was_away:
            return False
        self._was_away = False
        if not self._open:  # else those of the outage before are not all gone
            waiting = self._lanes.by_kind()
            self._open = sum(count for count, _ in waiting.values())
            self._highest = {kind: highest for kind, (_, highest) in waiting.items()}
            self._arrived.clear()
        return True

    def remove(self, owed: Owed, *, arrived: bool) -> str:
        """An entry no longer waits; once all have gone, what of them has arrived, for people."""
        if not self._open or owed.number > self._highest[owed.kind]:
            return ""
        self._arrived[owed.kind] += arrived
        self._open -= 1
        return "" if self._open else self._describe()

    def _describe(self) -> str:
        """Empty if all were parked or dropped."""
        counts = [(self._arrived[kind], kind) for kind in Kind if self._arrived[kind]]
        return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for count, kind in counts)
