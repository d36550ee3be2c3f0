"""A command's handler in another process, called like one in this process.

Owns the outcome of a call when the process ends. Must not know how the process is started.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flyte_host.errors import HandlerFailed
from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation import messages as say
from flyte_host.isolation.child_process import expect
from flyte_host.isolation.open_requests import ProcessEnded, Request
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.log_fields import CURRENT
from flyte_host.model import Action, EncodedEvent, Event, EventDef


class IsolatedHandler:
    """Passes the input on to the handler in the plugin's process."""

    def __init__(
        self,
        process: SupervisedProcess,
        handle: int,
        input_schema: Mapping[str, Any],
        description: str,
    ) -> None:
        self.process = process
        self.handle = handle
        self.input_schema = input_schema
        self.description = description

    def __call__(self, input: msgspec.Raw, action: Action) -> "IsolatedCall":
        """Begin a call; waits for a process that starts again. Raises HandlerFailed."""
        message = say.RunHandler(self.handle, bytes(input), action, dict(CURRENT.get()))
        try:
            return IsolatedCall(self._send(message), action.command)
        except Misbehaved as error:
            raise _not_run(action.command, error) from error

    def _send(self, message: say.RunHandler) -> Request:
        while True:
            try:
                return self.process.wait_for_child().send_request(message)
            except ProcessEnded:  # before it heard of the action: the next process may run it
                continue


class IsolatedCall:
    """A call whose event comes later, as the answer to a request."""

    def __init__(self, request: Request, command: str) -> None:
        self._request = request
        self._command = command

    @property
    def place(self) -> str:
        """Where the real handler is, if its timeout has passed."""
        return self._request.place

    def when_over(self, call: Callable[[], None]) -> None:
        """Call it at the end, in whichever thread hears of that; at once if it is over."""
        self._request.response.when_set(lambda _: call())

    def event(self) -> Event:
        """The event, once it is over; raises HandlerFailed."""
        try:
            response = self._request.result()
            if isinstance(response, say.RequestFailed):
                raise HandlerFailed(response.problem, timed_out=response.timed_out)
            returned = expect(say.HandlerReturned, response)
        except ProcessEnded as error:
            raise HandlerFailed(
                f"the pack's process ended ({error.problem}) while this command was running"
            ) from error
        except Misbehaved as error:
            raise _not_run(self._command, error) from error
        return EncodedEvent(EventDef(returned.event), body=returned.body)


def _not_run(command: str, error: Misbehaved) -> HandlerFailed:
    return HandlerFailed(f"command {command!r} could not run: {error}")
