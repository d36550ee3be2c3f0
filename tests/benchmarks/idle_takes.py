"""How many takes that find nothing an embedded flyte answers in a second, alone in its process.

Owns the process and a client that costs it little: bare sockets, one request in flight on each.
"""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

CONNECTIONS = 8
WARM_UP_SECONDS = 0.5
SECONDS = 4.0
ANSWER_BYTES = 65_536
START_SECONDS = 30.0
HEAD = "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"


def idle_takes_per_second(folder: Path) -> float:
    """Of ``flyte-host flyte`` of the checkout in ``folder``."""
    with TemporaryDirectory(prefix="flyte-bench-") as home:
        log = Path(home, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "flyte_host", "flyte"),
                    *("--listen", "127.0.0.1:0", "--store", "flyte.db"),
                ],
                cwd=home,
                env={**os.environ, "PYTHONPATH": str(folder.resolve())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            return _measure(_wait_port(log))
        finally:
            process.terminate()
            process.wait()


def _wait_port(log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"flyte did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
    return int(found[1])


def _measure(port: int) -> float:
    requests.post(f"http://127.0.0.1:{port}/v1/packs", json={"name": "Idle"}, timeout=10)
    take = _request(port, "/v1/packs/Idle/actions/take", b"null")
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(BareClient(port))) for _ in range(CONNECTIONS)]
        _exchange_for(WARM_UP_SECONDS, clients, take)
        return _exchange_for(SECONDS, clients, take)


def _exchange_for(seconds: float, clients: list["BareClient"], request: bytes) -> float:
    """How many exchanges there were per second."""
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        _exchange(clients, request)
        count += len(clients)
    return count / (time.monotonic() - began)


class BareClient:
    """One connection; a server that closes it gets another one, as from any client."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.create_connection(self._address)

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)

    def receive(self) -> bytes:
        answer = self._socket.recv(ANSWER_BYTES)
        if b"Connection: close" in answer:
            self.close()
            self._socket = socket.create_connection(self._address)
        return answer

    def close(self) -> None:
        self._socket.close()


def _request(port: int, path: str, body: bytes) -> bytes:
    head = HEAD.format(path=path, host=f"127.0.0.1:{port}")
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _exchange(clients: list[BareClient], request: bytes) -> None:
    for each in clients:
        each.send(request)
    for each in clients:
        answer = each.receive()
        if b" 204 " not in answer[:20]:
            raise RuntimeError(f"expected the status 204, found {answer[:200]!r}")
