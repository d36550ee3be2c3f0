"""A running embedded flyte with the verbs of a test.

Owns the conversation of a test with flyte, over its HTTP API. Must not know the host.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.host.gate import Gate
from flyte_host.host.gated_app import GatedApp
from flyte_host.host.web_server import WebServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

LOOPBACK = "127.0.0.1"
KIT_PACK = "FlyteTestKit"
"""The pack in whose name a test raises the events that queue its actions."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An action that flyte calls finished: state SUCCESS or FATAL, and the event that ended it."""

    state: str
    event: str
    payload: Any


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
        app = GatedApp(self._flyte.asgi, Gate(LOOPBACK), name="flyte for tests")
        self._server = WebServer(app, (LOOPBACK, 0), name="flyte for tests")
        self._server.start()
        self._changed = threading.Condition()
        self._events: list[tuple[str, str, Any]] = []
        self._numbers = itertools.count(1)
        self.on_action = self._wakers.listeners
        self.url = self._server.url

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()
        self._flyte.close()

    def put_flow(self, flow: Mapping[str, Any] | str) -> str:
        """Store a flow, given as a dict or as YAML text; returns its name."""
        text = flow if isinstance(flow, str) else json.dumps(flow)
        return self._flyte.put_flow(text, source="the test's flow")

    def send_event(self, pack_id: str, event: str, payload: Any = None) -> None:
        """Raise an event in the name of a registered pack."""
        self._post(f"/v1/packs/{pack_id}/events", {"event": event, "payload": payload})

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
        name = f"kit-{next(self._numbers)}"
        wanted = {"packName": pack, "name": command, "input": _literal(input)}
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
        self._post("/v1/packs", {"name": KIT_PACK})
        self.send_event(KIT_PACK, name)
        return name

    def run(
        self,
        pack: str,
        command: str,
        input: Any = None,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> Finished:
        """Queue an action, wait until its pack has answered it, return how it ended."""
        return self.finished(self.queue(pack, command, input), timeout_seconds)

    def finished(self, flow: str, timeout_seconds: float = PATIENCE_SECONDS) -> Finished:
        """How the action of a flow made by :meth:`queue` ended."""

        def look() -> Finished | None:
            [execution] = self._get(f"/v1/audit/flows?flowName={flow}")["flows"]
            for skipped in execution.get("skipped", ()):
                raise AssertionError(f"flyte made no action of it: {skipped['reason']}")
            action = execution["actions"]["run"]
            state, result = action["state"]["value"], action["result"]
            if state not in {"SUCCESS", "FATAL"}:
                return None
            return Finished(state, result["event"], result.get("payload"))

        return wait_until(look, f"the action of {flow} finished", timeout_seconds=timeout_seconds)

    def events(self, pack_id: str | None = None) -> list[tuple[str, str, Any]]:
        """All events and results so far as (pack id, event name, payload)."""
        with self._changed:
            return [each for each in self._events if pack_id in {None, each[0]}]

    def wait_for_event(
        self, pack_id: str, event: str, timeout_seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """The payload of the pack's first event (or result) of that name, once it is there."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                for sender, name, payload in self._events:
                    if (sender, name) == (pack_id, event):
                        return payload
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"no event {event} of {pack_id} within {timeout_seconds:g} s; "
                        f"seen: {self._events!r}"
                    )
                self._changed.wait(left)

    def packs(self) -> list[str]:
        """The ids of the registered packs."""
        return [pack["id"] for pack in self._get("/v1/packs")["packs"]]

    def forget(self, pack_id: str) -> None:
        """Delete a pack, as flyte does with packs that it takes for dead."""
        requests.delete(
            f"{self.url}/v1/packs/{pack_id}", timeout=PATIENCE_SECONDS
        ).raise_for_status()

    def _accepted(self, pack_id: str, event: str, payload: Any) -> None:
        with self._changed:
            self._events.append((pack_id, event, payload))
            self._changed.notify_all()

    def _get(self, path: str) -> Any:
        answer = requests.get(self.url + path, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def _post(self, path: str, document: Any) -> None:
        requests.post(self.url + path, json=document, timeout=PATIENCE_SECONDS).raise_for_status()


def _literal(value: Any) -> Any:
    """The value with template marks escaped: a test's input arrives as it is written."""
    if isinstance(value, str):
        for mark in ("{{", "{%", "{#"):
            value = value.replace(mark, f"{{\0'{mark}'\0}}")
        return value.replace("{\0", "{{ ").replace("\0}", " }}")
    if isinstance(value, Mapping):
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(each) for each in value]
    return value
