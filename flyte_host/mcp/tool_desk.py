"""Stands in for flyte: hands out the actions that tool calls queue, and takes their results.

Owns who waits for which action. The host asks it what it asks of flyte, without a network.
Must not know the protocol of the tools.
"""

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote

import msgspec

from flyte_host.model import pack_id

URL = "http://mcp.invalid"
"""Nothing is sent to it: the host calls the desk."""
REL = f"{URL}/swagger#"

Answer = tuple[int, Mapping[str, str], bytes]
Wake = Callable[[str, Mapping[str, str]], None]


class DeskClosed(Exception):
    """The host is stopping: calls made now get no answer."""


class ToolDesk:
    """Safe to use from any thread. ``run`` begins the numbers of its actions, one for each run."""

    def __init__(self, wake: Wake, run: str) -> None:
        self._wake = wake
        self._run = run
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._queues: dict[str, deque[tuple[str, str, Any]]] = {}
        self._waiting: dict[str, Future[bytes]] = {}
        self._closed = False

    def call(self, pack: str, labels: Mapping[str, str], command: str, input: Any) -> Future[bytes]:
        """Queue an action; the future has its result, as the host posts it. Raises DeskClosed."""
        result: Future[bytes] = Future()
        result.set_running_or_notify_cancel()  # a caller that goes away ends no action
        action_id = f"{self._run}-{next(self._numbers)}"
        with self._lock:
            if self._closed:
                raise DeskClosed
            self._waiting[action_id] = result
            queue = self._queues.setdefault(pack_id(pack, labels), deque())
            queue.append((action_id, command, input))
        self._wake(pack, labels)
        return result

    def close(self) -> None:
        """Answer no caller from now on; running actions are in the journal."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.set_exception(DeskClosed())

    def answer(self, method: str, target: str, _headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a request of the host."""
        parts = [unquote(each) for each in target.partition("?")[0].strip("/").split("/")]
        match [method, *parts]:
            case ["GET", "v1"]:
                return _json(200, {"links": _links()})
            case ["GET", "health"]:
                return _json(200, {})
            case ["POST", "v1", "packs"]:
                return _json(201, _registered(body))
            case ["POST", "v1", "packs", pack, "actions", "take"]:
                return self._take(pack)
            case ["POST", "v1", "packs", _, "actions", action_id, "result"]:
                return self._finish(action_id, body)
        return _json(404, {"error": "no such path here"})

    def _take(self, pack: str) -> Answer:
        with self._lock:
            queue = self._queues.get(pack)
            if not queue:
                return 204, {}, b""
            action_id, command, document = queue.popleft()
        href = f"{URL}/v1/packs/{pack}/actions/{action_id}/result"
        links = [{"rel": f"{REL}/actionResult", "href": href}]
        return _json(200, {"command": command, "input": document, "links": links})

    def _finish(self, action_id: str, body: bytes) -> Answer:
        with self._lock:
            waiting = self._waiting.pop(action_id, None)
        if waiting is None:
            return _json(404, {"error": "nobody waits for this action any longer"})
        waiting.set_result(body)
        return _json(202, {})


def _links() -> list[dict[str, str]]:
    return [
        {"rel": f"{REL}!/pack/listPacks", "href": f"{URL}/v1/packs"},
        {"rel": f"{REL}!/info/health", "href": f"{URL}/health"},
        {"rel": f"{REL}!/flowAudit/findFlows", "href": f"{URL}/audit"},
    ]


def _registered(body: bytes) -> dict[str, Any]:
    pack = msgspec.json.decode(body)
    name = pack_id(pack["name"], pack.get("labels") or {})
    this = f"{URL}/v1/packs/{name}"
    return {
        "id": name,
        "name": pack["name"],
        "links": [
            {"rel": f"{REL}!/action/takeAction", "href": f"{this}/actions/take"},
            {"rel": f"{REL}/event", "href": f"{this}/events"},
        ],
    }


def _json(status: int, document: Any) -> Answer:
    body = json.dumps(document).encode()
    return status, {"Content-Type": "application/json"}, body
