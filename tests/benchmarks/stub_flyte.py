"""A stub flyte in its own process: ``python -m tests.benchmarks.stub_flyte WORKLOAD``.

It is as cheap per request as Python allows, so that a benchmark measures the client: it knows only
the requests that our clients send, reads no body but that of a registration, and sends prepared
answers. Tests of behaviour must not use it.

It prints its port, reads the id of the process to watch from stdin, and prints its counts as one
line of JSON when the measurement is over. It ends when stdin does.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.process_meter import cpu_seconds
from tests.benchmarks.workload import Sample, Workload

Send = Callable[[bytes], None]

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
QUEUED_SECONDS = 0.003
"""From an accepted result until flyte has the flow's next action."""
DATE = b"Date: Mon, 23 Nov 2026 21:46:13 GMT\r\n"
NOTHING = b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\n" + DATE + b"Content-Length: 0\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\n" + DATE + b"Content-Length: 0\r\n\r\n"
UNKNOWN = b"HTTP/1.1 404 Not Found\r\n" + DATE + b"Content-Length: 0\r\n\r\n"


class StubRecorder:
    """Counts, and says when the measurement begins and ends."""

    def __init__(self, workload: Workload) -> None:
        self.watched_pid = 0
        self.takes = 0
        self.collisions = 0
        self.refused_results = 0
        self.over = False
        self._workload = workload
        self._actions = 0
        self._first_request_at = 0.0
        self._registered_at = 0.0
        self._warm_at = 0.0
        self._began_at = 0.0
        self._cpu_before = 0.0
        self._stub_cpu_before = 0.0
        self._takes_before = 0
        self._collisions_before = 0
        self._flow_seconds: list[float] = []

    def note_request(self) -> None:
        self._first_request_at = self._first_request_at or time.monotonic()

    def note_registered(self) -> None:
        """All packs are known."""
        self._registered_at = time.monotonic()
        if self._workload.flows:
            self._begin(self._registered_at)
        elif self._workload.idle:
            asyncio.get_running_loop().call_later(self._workload.warm_up_seconds, self._watch_idle)

    def note_result(self) -> None:
        now = time.monotonic()
        if self._began_at:
            self._actions += 1
            if self._workload.flows:
                return
            if now - self._began_at >= self._workload.seconds and not self.over:
                self._finish(now)
        elif not self._warm_at:
            self._warm_at = now + self._workload.warm_up_seconds
        elif now >= self._warm_at and self.watched_pid:
            self._begin(now)

    def note_flow(self, began_at: float, picked_up_at: float) -> None:
        """A flow has ended; its first action was queued and picked up then."""
        now = time.monotonic()
        if began_at >= self._registered_at + self._workload.warm_up_seconds:
            self._flow_seconds.append(now - picked_up_at)
        if len(self._flow_seconds) == self._workload.flows:
            self._finish(now)

    def _watch_idle(self) -> None:
        self._begin(time.monotonic())
        asyncio.get_running_loop().call_later(
            self._workload.seconds, lambda: self._finish(time.monotonic())
        )

    def _begin(self, now: float) -> None:
        self._began_at = now
        self._cpu_before = cpu_seconds(self.watched_pid)
        self._stub_cpu_before = time.process_time()
        self._takes_before = self.takes
        self._collisions_before = self.collisions

    def _finish(self, now: float) -> None:
        self.over = True
        sample = Sample(
            seconds=now - self._began_at,
            cpu_seconds=cpu_seconds(self.watched_pid) - self._cpu_before,
            stub_cpu_seconds=time.process_time() - self._stub_cpu_before,
            actions=self._actions,
            takes=self.takes - self._takes_before,
            collisions=self.collisions - self._collisions_before,
            refused_results=self.refused_results,
            first_request_at=self._first_request_at,
            registered_at=self._registered_at,
            flow_seconds=tuple(self._flow_seconds),
        )
        sys.stdout.write(sample.to_line() + "\n")
        sys.stdout.flush()


class StubFlyte:
    """Answers requests: ``send`` gets the answer, at once or after the latency."""

    def __init__(self, workload: Workload, recorder: StubRecorder) -> None:
        self.url = ""
        self._workload = workload
        self._recorder = recorder
        self._packs: dict[bytes, tuple[bytes, bytes]] = {}
        self._number = 0
        self._unfinished: dict[bytes, StubFlow | None] = {}
        self._busy_until: dict[bytes, float] = {}
        self._flows = StubFlows(workload, recorder)

    def answer(self, line: bytes, body: bytes, send: Send) -> None:
        latency = self._workload.latency_seconds
        if latency:
            asyncio.get_running_loop().call_later(latency, self._answer, line, body, send)
        else:
            self._answer(line, body, send)

    def _answer(self, line: bytes, body: bytes, send: Send) -> None:
        path = line.split(b" ", 2)[1]
        if path.endswith(b"/take"):
            self._take(path.split(b"/")[3], send)
        elif path.endswith(b"/result"):
            send(self._finish(path.split(b"/")[5]))
        elif path.endswith(b"/events"):
            send(ACCEPTED)
        elif path == b"/v1/packs":
            send(self._register(json.loads(body)["name"]))
        elif path == b"/v1":
            self._recorder.note_request()
            send(self._links())
        else:
            send(UNKNOWN)

    def _take(self, pack: bytes, send: Send) -> None:
        self._recorder.takes += 1
        if self._recorder.over or self._workload.idle:
            send(NOTHING)
        elif self._workload.flows:
            flow = self._flows.take(pack)
            send(NOTHING if flow is None else self._action(pack, flow))
        elif not self._workload.contention_seconds:
            send(self._action(pack))
        else:
            self._take_in_turn(pack, send)

    def _take_in_turn(self, pack: bytes, send: Send) -> None:
        """flyte finds an action, then claims it: a take that comes between the two gets a 500."""
        loop = asyncio.get_running_loop()
        now, window = loop.time(), self._workload.contention_seconds
        if now < self._busy_until.get(pack, 0.0):
            self._recorder.collisions += 1
            answer = FAILED
        else:
            self._busy_until[pack] = now + window
            answer = self._action(pack)
        loop.call_later(window, send, answer)

    def _action(self, pack: bytes, flow: "StubFlow | None" = None) -> bytes:
        before, after = self._packs[pack]
        self._number += 1
        number = b"%012d" % self._number
        self._unfinished[number] = flow
        return before + number + after

    def _finish(self, number: bytes) -> bytes:
        if number not in self._unfinished:
            self._recorder.refused_results += 1
            return FAILED
        flow = self._unfinished.pop(number)
        self._recorder.note_result()
        if flow is not None:
            self._flows.go_on(flow)
        return ACCEPTED

    def _register(self, name: str) -> bytes:
        key = name.encode()
        url = f"{self.url}/v1/packs/{name}"
        if key not in self._packs:
            self._packs[key] = self._action_parts(url)
            if len(self._packs) == self._workload.packs:
                self._recorder.note_registered()
                self._flows.start(list(self._packs))
        links = [
            {"href": f"{url}/actions/take", "rel": f"{self.url}/swagger#!/action/takeAction"},
            {"href": f"{url}/events", "rel": f"{self.url}/swagger#/event"},
        ]
        return _json_answer(b"201 Created", {"id": name, "name": name, "links": links})

    def _action_parts(self, url: str) -> tuple[bytes, bytes]:
        """The answer to a take, before and after the number of the action."""
        link = {
            "href": f"{url}/actions/{'#' * 12}/result",
            "rel": f"{self.url}/swagger#/actionResult",
        }
        action = {"command": self._workload.command, "input": {"text": "hello"}, "links": [link]}
        before, _, after = _json_answer(b"200 OK", action).partition(b"#" * 12)
        return before, after

    def _links(self) -> bytes:
        swagger = f"{self.url}/swagger#!"
        links = [
            {"href": f"{self.url}/health", "rel": f"{swagger}/info/health"},
            {"href": f"{self.url}/v1/packs", "rel": f"{swagger}/pack/listPacks"},
            {"href": f"{self.url}/v1/audit/flows", "rel": f"{swagger}/flowAudit/findFlows"},
        ]
        return _json_answer(b"200 OK", {"links": links})


@dataclass
class StubFlow:
    """Which of its steps is queued or under way, and when the first was queued and picked up."""

    began_at: float
    step: int = 0
    picked_up_at: float = 0.0


class StubFlows:
    """Flows over the first packs, a step each; flyte has the next one a moment after a result."""

    def __init__(self, workload: Workload, recorder: StubRecorder) -> None:
        self._workload = workload
        self._recorder = recorder
        self._route: list[bytes] = []
        self._queues: dict[bytes, deque[StubFlow]] = {}

    def start(self, packs: list[bytes]) -> None:
        if self._workload.flows:
            # In no order in which a client may poll them.
            self._route = random.Random(1).sample(sorted(packs), self._workload.flow_steps)
            self._queues = {pack: deque() for pack in packs}
            self._begin()

    def take(self, pack: bytes) -> StubFlow | None:
        queue = self._queues.get(pack)
        if not queue:
            return None
        flow = queue.popleft()
        flow.picked_up_at = flow.picked_up_at or time.monotonic()
        return flow

    def go_on(self, flow: StubFlow) -> None:
        flow.step += 1
        if flow.step == len(self._route):
            self._recorder.note_flow(flow.began_at, flow.picked_up_at)
        else:
            asyncio.get_running_loop().call_later(QUEUED_SECONDS, self._queue, flow)

    def _begin(self) -> None:
        self._queue(StubFlow(time.monotonic()))
        if not self._recorder.over:
            pause = self._workload.flow_pause_seconds
            asyncio.get_running_loop().call_later(pause, self._begin)

    def _queue(self, flow: StubFlow) -> None:
        self._queues[self._route[flow.step]].append(flow)


def _json_answer(status: bytes, document: object) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json; charset=utf-8\r\n" + DATE
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class StubConnection(asyncio.Protocol):
    """One connection, kept alive. A client waits for an answer before its next request."""

    def __init__(self, flyte: StubFlyte) -> None:
        self._flyte = flyte
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            self._received = received
            return
        length = LENGTH.search(received, 0, end)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(received) < whole:
            self._received = received
            return
        self._received = received[whole:]
        self._flyte.answer(
            received[: received.find(b"\r\n")], received[end + 4 : whole], self._send
        )

    def _send(self, answer: bytes) -> None:
        assert self._transport is not None
        self._transport.write(answer)


async def main(workload: Workload) -> None:
    loop = asyncio.get_running_loop()
    recorder = StubRecorder(workload)
    flyte = StubFlyte(workload, recorder)
    server = await loop.create_server(lambda: StubConnection(flyte), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    flyte.url = f"http://127.0.0.1:{port}"
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended = asyncio.Event()

    def read() -> None:
        line = sys.stdin.readline()
        if line:
            recorder.watched_pid = int(line)
        else:
            ended.set()

    loop.add_reader(sys.stdin, read)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(Workload.from_line(sys.argv[1])))
