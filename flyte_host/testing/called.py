"""What one call of a handler came to."""

from dataclasses import dataclass, field
from typing import Any

from flyte_host.testing.heard_event import ANYTHING, HeardEvent


@dataclass(frozen=True, slots=True)
class Called:
    """A handler's event as a flow sees it: ``payload`` has been through JSON.

    ``error`` is what the handler raised, if it did; ``log`` what the host said about the call.
    """

    name: str
    payload: Any
    log: tuple[str, ...] = field(default=(), repr=False, compare=False)
    error: BaseException | None = field(default=None, repr=False, compare=False)

    def expect(self, event: str, payload: Any = ANYTHING) -> Any:
        """The payload, if it is this event (with this payload, where one is given).

        Else an AssertionError that shows what came instead, where the payloads differ, what the
        host said, and the traceback of a handler that raised.
        """
        __tracebackhide__ = True
        HeardEvent(self.name, self.payload, self.log, self.error).expect(event, payload)
        return self.payload
