"""What a host counts as it happens, as plain numbers since its start.

Owns the counting, and which labels there can be: a pack that is not configured and a command that
is not declared count as ``unknown``, so that neither flyte nor an old journal makes them endless.
Must not know how the numbers are shown.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from flyte_host.traceparent import is_sampled

Labels = tuple[str, ...]

UNKNOWN = "unknown"
TAKES = (
    "action", "empty", "contention", "outage", "unauthorized", "forgotten", "refused", "bad_answer",
)  # fmt: skip
"""How a take ends; all but the first two are problems with flyte."""
ENDINGS = ("success", "fatal", "timeout")
DELIVERIES = ("accepted", "retried", "parked")
KINDS = ("result", "event")
CALLS = ("register", "take", "result", "event", "health", "audit")
ANSWERS = ("ok", "outage", "unauthorized", "unknown", "refused", "failed", "bad_answer")
"""How a call of flyte ends: well, or with the ``word`` of an error."""
BOUNDS_SECONDS = (0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram's buckets; the last bucket has none."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values each bucket has, the one without a bound last, and the sum of all values.

    ``exemplars`` has, by a bucket's place, its last value whose trace is recorded.
    """

    buckets: tuple[int, ...]
    sum: float
    exemplars: Mapping[int, "Exemplar"] = field(default_factory=dict)


class Exemplar(NamedTuple):
    """A value, and the trace context in which it was measured."""

    value: float
    trace: str


class Tally:
    """How often each combination of labels occurred; those expected begin at 0.

    The expected ones are not kept: most of a host with many packs never occur.
    """

    def __init__(self, expected: Callable[[], Iterable[Labels]]) -> None:
        self._lock = threading.Lock()
        self._expected = expected
        self._numbers: dict[Labels, int] = {}

    def add(self, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._numbers[labels] = self._numbers.get(labels, 0) + 1

    def read(self) -> dict[Labels, int]:
        """All numbers of this moment."""
        with self._lock:
            return dict.fromkeys(self._expected(), 0) | self._numbers


class Durations:
    """How long something took, by labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._exemplars: dict[Labels, dict[int, Exemplar]] = {}

    def add(self, seconds: float, *labels: str, trace: str = "") -> None:
        """Count one more that took ``seconds``, in a trace if there is one."""
        place = bisect_left(BOUNDS_SECONDS, seconds)
        with self._lock:
            buckets = self._buckets.setdefault(labels, [0] * (len(BOUNDS_SECONDS) + 1))
            buckets[place] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + seconds
            if is_sampled(trace):
                self._exemplars.setdefault(labels, {})[place] = Exemplar(seconds, trace)

    def read(self) -> dict[Labels, Histogram]:
        """All values of this moment, without those that never occurred."""
        with self._lock:
            return {
                labels: Histogram(
                    tuple(buckets), self._sums[labels], dict(self._exemplars.get(labels, {}))
                )
                for labels, buckets in self._buckets.items()
            }


class Counters:
    """The numbers of one host, whose packs have these commands; safe in any thread."""

    def __init__(self, commands: Mapping[str, Iterable[str]] | None = None) -> None:
        self._commands = {pack: frozenset(names) for pack, names in (commands or {}).items()}
        packs = list(self._commands)
        declared = [
            (pack, name) for pack, names in self._commands.items() for name in sorted(names)
        ]
        self.takes = Tally(lambda: product(packs, TAKES))
        self.endings = Tally(
            lambda: ((*each, ending) for each, ending in product(declared, ENDINGS))
        )
        self.durations = Durations()
        self.deliveries = Tally(lambda: product(packs, KINDS, DELIVERIES))
        self.events = Tally(lambda: product(packs))
        self.calls = Tally(lambda: product(CALLS, ANSWERS))
        self.blockages = Tally(lambda: product(packs))

    def took(self, pack: str, result: str) -> None:
        """A take ended; ``result`` is one of TAKES."""
        self.takes.add(self._pack(pack), result)

    def ended(
        self, pack: str, command: str, ending: str, seconds: float | None, trace: str = ""
    ) -> None:
        """An action ended with one of ENDINGS; without seconds its handler did not run."""
        pack = self._pack(pack)
        command = command if command in self._commands.get(pack, ()) else UNKNOWN
        self.endings.add(pack, command, ending)
        if seconds is not None:
            self.durations.add(seconds, pack, command, trace=trace)

    def delivered(self, pack: str, kind: str, outcome: str) -> None:
        """An attempt at a delivery, of one of KINDS, ended with one of DELIVERIES."""
        self.deliveries.add(self._pack(pack), kind, outcome)

    def raised(self, pack: str) -> None:
        """A pack raised an event on its own."""
        self.events.add(self._pack(pack))

    def called(self, call: str, answer: str) -> None:
        """One of CALLS got one of ANSWERS."""
        self.calls.add(call, answer)

    def blocked(self, pack: str) -> None:
        """A coroutine of a pack was found blocking the pack's others."""
        self.blockages.add(self._pack(pack))

    def _pack(self, pack: str) -> str:
        return pack if pack in self._commands else UNKNOWN
