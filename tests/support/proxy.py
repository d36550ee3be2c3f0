"""A proxy on real sockets that disturbs calls of flyte's API as a test says.

Owns the connections, the scripts and the record of what passed. Must not know which faults there
are (``faults``) or what is behind it: that answers requests, :func:`forward_to` over HTTP.

::

    with FaultProxy(forward_to(flyte.url)) as proxy:
        proxy.script("result", dropped, dropped)  # of the next two results
        proxy.away()  # connections are refused, those that are open end
        proxy.back()
"""

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.scripted_server import Seen, _read, reply

HOP_HEADERS = {"connection", "content-length", "transfer-encoding", "date", "server"}
CALLS = (
    ("take", r"POST /v1/packs/.+/actions/take"),
    ("result", r"POST /v1/packs/.+/actions/.+/result"),
    ("event", r"POST /v1/packs/.+/events"),
    ("register", r"POST /v1/packs"),
    ("audit", r"GET /v1/audit/flows"),
    ("links", r"GET /v1"),
)


@dataclass(frozen=True)
class ProxyAnswer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        named = {name.replace("-", "_"): value for name, value in self.headers.items()}
        return reply(self.status, self.body, **named)


Behind = Callable[[Seen], ProxyAnswer]


class Exchange:
    """One request in the hands of a fault; its connection is closed afterwards."""

    def __init__(self, proxy: "FaultProxy", call: str, seen: Seen, sock: socket.socket) -> None:
        self.proxy = proxy
        self.call = call
        self.seen = seen
        self._socket = sock

    def forward(self) -> ProxyAnswer:
        """Let what is behind the proxy process the request."""
        answer = self.proxy.behind(self.seen)
        self.proxy.forwarded[self.call, answer.status] += 1
        return answer

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reset(self) -> None:
        """Close it without the usual farewell."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def wait(self, seconds: float) -> None:
        self.proxy.stopping.wait(seconds)


Act = Callable[[Exchange], None]


class FaultProxy:
    """``token``: what every request must bring, or it is answered with 401; None: anything.

    ``forwarded``: what flyte answered to the requests that a fault let it process, by call.
    """

    def __init__(self, behind: Behind) -> None:
        self.behind = behind
        self.token: str | None = None
        self.stopping = threading.Event()
        self.requests: Counter[str] = Counter()
        self.forwarded: Counter[tuple[str, int]] = Counter()
        self.arrivals: list[float] = []
        self.faulted_at: list[float] = []
        self._scripts: dict[str, deque[Act]] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._busy: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self._listener.getsockname()[:2]
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._listening = True

    def __enter__(self) -> Self:
        self._accept_from(self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.away()

    def script(self, call: str, *acts: Act) -> None:
        """Say what happens to the next requests of that call; later ones pass."""
        with self._lock:
            self._scripts[call] = deque(acts)

    def scripted(self, call: str) -> int:
        """How many of the scripted faults are still to come."""
        with self._lock:
            return len(self._scripts.get(call, ()))

    def wait_faulted(self, times: int, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until that many faults are over."""
        wait_until(
            lambda: len(self.faulted_at) >= times,
            f"{times} faults",
            timeout_seconds=timeout_seconds,
        )

    def away(self) -> None:
        """Refuse connections and end those that are open; a request under way gets its answer."""
        with self._lock:
            if not self._listening:
                return
            self._listening = False
            with contextlib.suppress(OSError):  # wakes accept, which closing alone does not
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for each in self._open - self._busy:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def back(self) -> None:
        with self._lock:
            if self._listening or self.stopping.is_set():
                return
            self._listener = socket.create_server(self.address, backlog=256)
            self._listening = True
        self._accept_from(self._listener)

    def peak_per_second(self, since: float = 0) -> int:
        """The most requests that arrived within any second after ``since`` (monotonic)."""
        arrivals = sorted(at for at in self.arrivals if at >= since)
        peak = first = 0
        for last, at in enumerate(arrivals):
            while arrivals[first] <= at - 1:
                first += 1
            peak = max(peak, last - first + 1)
        return peak

    def _accept_from(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if not self._listening:
                    sock.close()
                    return
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        # A client that is killed or gives up is part of what is tested.
        with sock, contextlib.suppress(OSError, ValueError), sock.makefile("rb") as stream:
            while (seen := _read(stream, 0)) and self._begins(sock):
                keep = self._handle(sock, seen)
                with self._lock:
                    self._busy.discard(sock)
                    if not keep or not self._listening:
                        break
        with self._lock:
            self._busy.discard(sock)
            self._open.discard(sock)

    def _begins(self, sock: socket.socket) -> bool:
        with self._lock:
            self._busy.add(sock)
            return self._listening

    def _handle(self, sock: socket.socket, seen: Seen) -> bool:
        """Whether the connection stays open."""
        call = call_of(seen)
        self.requests[call] += 1
        self.arrivals.append(time.monotonic())
        act = self._next(call)
        if act is not None:
            try:
                act(Exchange(self, call, seen, sock))
            finally:
                self.faulted_at.append(time.monotonic())
            return False
        if self.token and seen.headers.get("authorization") != f"Bearer {self.token}":
            sock.sendall(reply(401, WWW_Authenticate='Bearer error="invalid_token"'))
        else:
            sock.sendall(self.behind(seen).encoded())
        return True

    def _next(self, call: str) -> Act | None:
        with self._lock:
            waiting = self._scripts.get(call)
            return waiting.popleft() if waiting else None


def call_of(seen: Seen) -> str:
    line = f"{seen.method} {seen.path}"
    return next((name for name, pattern in CALLS if re.fullmatch(pattern, line)), "other")


def forward_to(url: str) -> Behind:
    """Pass requests on over HTTP."""
    place = urlsplit(url).netloc

    def behind(seen: Seen) -> ProxyAnswer:
        target = f"{seen.path}?{seen.query}" if seen.query else seen.path
        with contextlib.closing(
            http.client.HTTPConnection(place, timeout=PATIENCE_SECONDS)
        ) as connection:
            connection.request(seen.method, target, seen.body, seen.headers)
            answer = connection.getresponse()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_HEADERS}
            return ProxyAnswer(answer.status, answer.read(), headers)

    return behind
