"""The actions of an execution as bars: how long each waited in the queue, and how long it ran.

Owns where the bars are. Pure. Must not know how a page is made of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flyte_host.records.execution_record import ActionRecord
from flyte_host.text import duration

WIDTH, HEIGHT, LABEL_WIDTH = 640, 22, 150
SMALLEST = 2


@dataclass(frozen=True, slots=True)
class TimeBar:
    """One action; ``queued_width`` begins at ``x``, and ``ran_width`` follows it."""

    name: str
    state: str
    x: float
    y: int
    queued_width: float
    ran_width: float
    words: str


def draw_time_line(actions: Sequence[ActionRecord], now: datetime) -> Sequence[TimeBar]:
    """A bar for each action; what has not ended lasts until ``now``."""
    if not actions:
        return []
    begin = min(action.queued for action in actions)
    end = max(_ended(action, now) for action in actions)
    whole = max((end - begin).total_seconds(), 0.001)
    scale = (WIDTH - LABEL_WIDTH - SMALLEST) / whole

    def bar(number: int, action: ActionRecord) -> TimeBar:
        taken = next(
            (state.time for state in action.all_states() if state.value == "PENDING"), None
        )
        ended = _ended(action, now)
        # Neither is negative, even if the clock was set back meanwhile.
        queued = max(((taken or ended) - action.queued).total_seconds(), 0.0)
        ran = max((ended - taken).total_seconds(), 0.0) if taken else 0.0
        return TimeBar(
            action.step_id or "-",
            action.state.value,
            LABEL_WIDTH + (action.queued - begin).total_seconds() * scale,
            number * HEIGHT,
            queued * scale,
            max(ran * scale, SMALLEST) if taken else 0,
            f"queued {_length(queued)}, {f'ran {_length(ran)}' if taken else 'not taken yet'}",
        )

    return [bar(number, action) for number, action in enumerate(actions)]


def _length(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _ended(action: ActionRecord, now: datetime) -> datetime:
    return action.state.time if action.is_finished else max(now, action.state.time)
