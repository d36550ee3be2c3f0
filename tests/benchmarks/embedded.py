"""Figures of the embedded flyte, each as a ratio to an ASGI app that only answers 202.

Run ``python tests/benchmarks/embedded.py``; it takes some seconds. The calls go through ASGI in
this process, so that the figures are flyte's and not a web server's.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from flyte_host.embedded import EmbeddedFlyte

CALLS = 1000
ROUNDS = 5
App = Callable[[dict[str, Any], Callable[[], Any], Callable[[Any], Any]], Awaitable[None]]
LOOP = asyncio.new_event_loop()


def call(app: App, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """(status, body) of one request."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def answered() -> None:
        await app(scope, receive, send)

    LOOP.run_until_complete(answered())
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


def per_second(do: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        do()
    return calls / (time.perf_counter() - start)


async def bare(_scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """What little an application can do."""
    await receive()
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def prepared(store: Path) -> App:
    app: App = EmbeddedFlyte(store).asgi
    post(app, "/v1/packs", {"name": "P"})
    for number in range(1000):
        put_flow(app, f"other{number}", f"Other{number}")
    put_flow(app, "one", "One", {"who": "{{ Event.Payload.who }}"})
    for number in range(100):
        put_flow(app, f"many{number}", "Many", "{{ Event.Payload.who }}")
    return app


def put_flow(app: App, name: str, event: str, value: Any = None) -> None:
    step = {
        "id": "a",
        "event": {"name": event, "packName": "P"},
        "command": {"name": "c", "packName": "P", "input": value},
    }
    post(app, "/v1/flows", {"name": name, "steps": [step]})


def post(app: App, path: str, document: Any) -> None:
    status, answer = call(app, "POST", path, json.dumps(document).encode())
    if status // 10 != 20:
        raise SystemExit(f"{path}: {status} {answer!r}")


def take_and_finish(app: App) -> None:
    _, answer = call(app, "POST", "/v1/packs/P/actions/take")
    href = json.loads(answer)["links"][0]["href"]
    post(app, href.removeprefix("http://localhost"), {"event": "Done", "payload": {"n": 1}})


def measures(reference: App, app: App) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured, and how often per round."""
    unheard = {"event": "Unheard", "payload": {"who": "Ada", "n": 7}}
    events, take = "/v1/packs/P/events", "/v1/packs/P/actions/take"
    return {
        "a bare ASGI app answers 202": (lambda: post(reference, events, unheard), CALLS),
        "event that no flow hears": (lambda: post(app, events, unheard), CALLS),
        "take that finds nothing": (lambda: call(app, "POST", take), CALLS),
        "event that makes an action": (
            lambda: post(app, events, unheard | {"event": "One"}),
            CALLS,
        ),
        "take and result of an action": (lambda: take_and_finish(app), CALLS),
        "event that makes 100 actions": (
            lambda: post(app, events, unheard | {"event": "Many"}),
            CALLS // 100,
        ),
        "take and result in a queue of 1,000": (lambda: take_and_finish(app), CALLS),
    }


def main() -> None:
    """The best of some rounds, so that what else the machine does counts less."""
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        reference, app = bare, prepared(Path(directory) / "flyte.db")
        for _ in range(ROUNDS):
            for what, (do, calls) in measures(reference, app).items():
                best[what] = max(best.get(what, 0), per_second(do, calls))
    first = next(iter(best.values()))
    sys.stdout.write(
        "| per second, 1,100 flows stored | calls | of the bare app |\n|---|---|---|\n"
    )
    for what, figure in best.items():
        sys.stdout.write(f"| {what} | {figure:,.0f} | {figure / first:.3f} |\n")


if __name__ == "__main__":
    main()
