"""A running embedded flyte with the verbs of a test.

Owns the conversation of a test with flyte, over its HTTP API. Must not know the host.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import msgspec

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.records.execution_record import ActionRecord, ExecutionRecord
from flyte_host.testing.faulty_app import FaultyApp
from flyte_host.testing.finished import Finished
from flyte_host.testing.given import encoded, literal
from flyte_host.testing.host_log import HostLog
from flyte_host.testing.kit_client import KitClient
from flyte_host.testing.no_host_frames import NoHostFrames
from flyte_host.testing.sight import Sight
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.text import nearest
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import GatedApp
from flyte_host.web.web_server import WebServer

LOOPBACK = "127.0.0.1"
KIT_PACK = "FlyteTestKit"
"""The pack in whose name a test raises the events that queue its actions."""


class _Wakers:
    """Passes on to each listener that an action waits for a pack."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str, Mapping[str, str]], None]] = []

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        for listener in self.listeners:
            listener(pack_name, labels)


class FlyteServer:
    """A flyte on a free port of the loopback, with its store in memory."""

    def __init__(self) -> None:
        self._wakers = _Wakers()
        self._flyte = EmbeddedFlyte(":memory:", waker=self._wakers, on_event=self._accepted)
        self._faults = FaultyApp(self._flyte.asgi)
        app = GatedApp(self._faults, Gate(LOOPBACK), name="flyte for tests")
        self._server = WebServer(app, (LOOPBACK, 0), name="flyte for tests")
        self._server.start()
        self._changed = threading.Condition()
        self._events: list[tuple[str, str, Any]] = []
        self._numbers = itertools.count(1)
        self.on_action = self._wakers.listeners
        self.witnesses: list[HostLog] = []
        self.url = self._server.url
        self._client = KitClient(self.url)

    def close(self) -> None:
        """Stop the server."""
        self._flyte.end_waits()
        self._server.stop()
        self._flyte.close()

    def put_flow(self, flow: Mapping[str, Any] | str) -> str:
        """Store a flow, given as a dict or as YAML text; returns its name."""
        __tracebackhide__ = True
        text = flow if isinstance(flow, str) else json.dumps(flow)
        with NoHostFrames(ValueError):
            return self._flyte.put_flow(text, source="the test's flow")

    def send_event(self, pack_id: str, event: str, payload: Any = None) -> None:
        """Raise an event in the name of a registered pack."""
        __tracebackhide__ = True
        document = {"event": event, "payload": msgspec.json.decode(encoded("payload", payload))}
        self._client.post(f"{self._path_of(pack_id)}/events", document)

    def queue(
        self,
        pack: str,
        command: str,
        input: Any = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Queue an action for a pack, by a flow made for it; returns the flow's name.

        The input is what a flow can give: flyte leaves out null in objects, refuses it in lists.
        """
        __tracebackhide__ = True
        name = f"kit-{next(self._numbers)}"
        wanted = {
            "packName": pack,
            "name": command,
            "input": literal(msgspec.json.decode(encoded("input", input))),
        }
        if labels:
            wanted["packLabels"] = dict(labels)
        self.put_flow(
            {
                "name": name,
                "steps": [
                    {"id": "run", "event": {"packName": KIT_PACK, "name": name}, "command": wanted}
                ],
            }
        )
        self._client.post("/v1/packs", {"name": KIT_PACK})
        self.send_event(KIT_PACK, name)
        return name

    def run(
        self,
        pack: str,
        command: str,
        input: Any = None,
        timeout_seconds: float = PATIENCE_SECONDS,
        *,
        reraise: bool = False,
    ) -> Finished:
        """Queue an action, wait until its pack has answered it, return how it ended.

        With ``reraise``, what the handler raised is raised here, with its own traceback.
        """
        __tracebackhide__ = True
        finished = self.finished(self.queue(pack, command, input), timeout_seconds)
        if reraise and finished.error is not None:
            raise finished.error
        return finished

    def finished(self, flow: str, timeout_seconds: float = PATIENCE_SECONDS) -> Finished:
        """How the action of a flow made by :meth:`queue` ended."""
        __tracebackhide__ = True

        def look() -> Finished | None:
            [execution] = self._client.executions(flow)
            for skipped in execution.skipped or ():
                raise AssertionError(f"flyte made no action of it: {skipped.reason}")
            action = (execution.actions or {})["run"]
            return self._result_of(action) if action.is_finished else None

        def saw(_: object) -> str:
            return self._sight(self._client.executions(flow)).describe()

        what = f"the action of {flow} finished"
        return wait_until(look, what, timeout_seconds=timeout_seconds, describe=saw)

    def events(self, pack_id: str | None = None) -> list[tuple[str, str, Any]]:
        """All events and results so far as (pack id, event name, payload)."""
        with self._changed:
            return [each for each in self._events if pack_id in {None, each[0]}]

    def wait_for_event(
        self, pack_id: str, event: str, timeout_seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """The payload of the pack's first event (or result) with that name, once it has come."""
        __tracebackhide__ = True
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                for sender, name, payload in self._events:
                    if (sender, name) == (pack_id, event):
                        return payload
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        saw = self._sight(self._client.executions()).describe()
        raise AssertionError(f"no event {event} of {pack_id} within {timeout_seconds:g} s{saw}")

    def away(self) -> AbstractContextManager[None]:
        """Answer 503 to packs, as a proxy does while the flyte behind it is away."""
        return self._faults.answering(503)

    def token_expired(self) -> AbstractContextManager[None]:
        """Answer 401 to packs."""
        return self._faults.answering(401)

    def fail_after_commit(
        self, request: Literal["take", "result", "event", "registration"], times: int = 1
    ) -> None:
        """Do what the next such requests of packs ask for, but answer 500."""
        self._faults.lose_answers(request, times)

    def packs(self) -> list[str]:
        """The ids of the registered packs."""
        return [pack.id for pack in self._client.packs()]

    def forget(self, pack_id: str) -> None:
        """Delete a pack, as flyte does with packs that it considers dead."""
        __tracebackhide__ = True
        self._client.delete(self._path_of(pack_id))

    def _path_of(self, pack_id: str) -> str:
        __tracebackhide__ = True
        known = self.packs()
        if pack_id not in known:
            registered = ", ".join(known) or "none"
            raise LookupError(
                f"no pack {pack_id!r} is registered{nearest(pack_id, known)}; registered: "
                f"{registered}"
            )
        return f"/v1/packs/{pack_id}"

    def _accepted(self, pack_id: str, event: str, payload: Any) -> None:
        with self._changed:
            self._events.append((pack_id, event, payload))
            self._changed.notify_all()

    def _result_of(self, action: ActionRecord) -> Finished:
        errors = (each.error_of(action.id) for each in self.witnesses)
        return Finished(
            action.state.value,
            action.result.event,
            action.result.payload,
            tuple(line for each in self.witnesses for line in each.lines(action.id)),
            next((error for error in errors if error), None),
        )

    def _sight(self, executions: list[ExecutionRecord]) -> Sight:
        """What can be seen now: packs, actions, events, the log of hosts."""
        return Sight(
            self._client.packs(),
            executions,
            self.events(),
            self._client.missed(),
            [line for each in self.witnesses for line in each.lines()],
        )
