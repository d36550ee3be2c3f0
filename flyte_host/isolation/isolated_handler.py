"""A command's handler in another process, called like one in this process.

Owns the outcome of a call when the process ends. Must not know how the process is started.
"""

from collections.abc import Mapping
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
        self._requests: dict[str, Request] = {}

    def __call__(self, input: msgspec.Raw, action: Action) -> Event:
        """The handler's event; waits for a process that starts again. Raises HandlerFailed."""
        try:
            about = dict(CURRENT.get())
            response = self._ask(
                say.RunHandler(self.handle, bytes(input), action, about), action.id
            )
            if isinstance(response, say.RequestFailed):
                raise HandlerFailed(response.problem, timed_out=response.timed_out)
            returned = expect(say.HandlerReturned, response)
        except ProcessEnded as error:
            raise HandlerFailed(
                f"the pack's process ended ({error.problem}) while this command was running"
            ) from error
        except Misbehaved as error:
            raise HandlerFailed(f"command {action.command!r} could not run: {error}") from error
        finally:
            self._requests.pop(action.id, None)
        return EncodedEvent(EventDef(returned.event), body=returned.body)

    def place_of(self, action: Action) -> str:
        """Where the real handler is, if its timeout has passed."""
        request = self._requests.get(action.id)
        return "" if request is None else request.place

    def _ask(self, message: say.RunHandler, action_id: str) -> say.Response:
        while True:
            child = self.process.wait_for_child()
            try:
                request = self._requests[action_id] = child.send_request(message)
            except ProcessEnded:  # before it heard of the action: the next process may run it
                continue
            return child.response_to(request)
