"""How an action ended, as a test sees it."""

from dataclasses import dataclass, field
from typing import Any

from flyte_host.testing.heard_event import ANYTHING, HeardEvent


@dataclass(frozen=True, slots=True)
class Finished:
    """An action that flyte calls finished: state SUCCESS or FATAL, and the event that ended it.

    ``error`` is what the handler raised, if it did so in this process; ``log`` what hosts said
    about the action.
    """

    state: str
    event: str
    payload: Any
    log: tuple[str, ...] = field(default=(), repr=False, compare=False)
    error: BaseException | None = field(default=None, repr=False, compare=False)

    def expect(self, event: str, payload: Any = ANYTHING) -> Any:
        """The payload, if it is this event (with this payload, where one is given).

        Else an AssertionError, as of ``Called``.
        """
        __tracebackhide__ = True
        HeardEvent(self.event, self.payload, self.log, self.error).expect(event, payload)
        return self.payload
