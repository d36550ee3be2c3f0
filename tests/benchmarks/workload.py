"""The task of the stub flyte in one measurement, and what it counted.

Owns the two documents that the harness and the stub's process exchange, one line of JSON each. Must
not know what is measured.
"""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class Workload:
    """``idle``: every take finds nothing, and the measurement begins when all packs are known.

    ``flows``: each is an action of the first pack, whose result queues one of the second, up to
    ``flow_steps``. They begin one every ``flow_pause_seconds``, the first of them when all packs
    are known; the warm-up is the time in which they do not count.
    """

    command: str = "echo"
    packs: int = 1
    idle: bool = False
    latency_seconds: float = 0.0
    contention_seconds: float = 0.0
    flows: int = 0
    flow_steps: int = 5
    flow_pause_seconds: float = 2.0
    warm_up_seconds: float = 0.4
    seconds: float = 1.0

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Sample:
    """One measurement of one process; times are those of ``time.monotonic``."""

    seconds: float
    cpu_seconds: float
    stub_cpu_seconds: float
    actions: int
    takes: int
    collisions: int
    refused_results: int
    first_request_at: float
    registered_at: float
    flow_seconds: tuple[float, ...] = ()
    """For each flow, from its first pick-up to its last result."""

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        return cls(**json.loads(line))
