"""The reference R: a bare libcurl loop that keeps taking an action and posting its result.

``python -m tests.benchmarks.reference_curl URL [--takers N] [--packs N] [--every SECONDS]``. With
``--every`` it is a serial poller: one take of each pack in that time, in turn.
"""

import argparse
import itertools
import json
import threading
import time
from typing import Any

import pycurl

HEADERS = ["Content-Type: application/json", "Expect:"]


class CurlCaller:
    """One libcurl handle, and so one connection that is kept."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._curl = pycurl.Curl()
        self._curl.setopt(pycurl.HTTPHEADER, HEADERS)
        self._curl.setopt(pycurl.WRITEFUNCTION, self._chunks.append)

    def get(self, url: str) -> Any:
        self._curl.setopt(pycurl.HTTPGET, 1)
        return json.loads(self._perform(url)[1])

    def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        self._curl.setopt(pycurl.POSTFIELDS, body)
        return self._perform(url)

    def _perform(self, url: str) -> tuple[int, bytes]:
        self._chunks.clear()
        self._curl.setopt(pycurl.URL, url)
        self._curl.perform()
        return self._curl.getinfo(pycurl.RESPONSE_CODE), b"".join(self._chunks)


def register(caller: CurlCaller, url: str, name: str) -> str:
    """The URL of the pack's takes."""
    body = {"name": name, "events": [{"name": "Done"}], "commands": [{"name": "echo"}]}
    _, answer = caller.post(f"{url}/v1/packs", json.dumps(body).encode())
    links = json.loads(answer)["links"]
    return next(str(each["href"]) for each in links if each["rel"].endswith("takeAction"))


def take(caller: CurlCaller, take_url: str) -> None:
    """Take an action and post its result; do nothing on a 204 or a collision."""
    status, answer = caller.post(take_url, b"null")
    if status == 200:
        action = json.loads(answer)
        result = {
            "event": "Done",
            "payload": action["input"],
            "createdAt": "2026-11-23T21:46:53.2995012Z",
        }
        caller.post(action["links"][0]["href"], json.dumps(result).encode())


def take_forever(take_url: str) -> None:
    caller = CurlCaller()
    while True:
        take(caller, take_url)


def poll_forever(caller: CurlCaller, take_urls: list[str], every_seconds: float) -> None:
    pause_seconds = every_seconds / len(take_urls)
    due = time.monotonic()
    for take_url in itertools.cycle(take_urls):
        take(caller, take_url)
        due += pause_seconds
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--takers", type=int, default=1)
    parser.add_argument("--packs", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.0)
    asked = parser.parse_args()
    caller = CurlCaller()
    caller.get(f"{asked.url}/v1")
    take_urls = [register(caller, asked.url, f"Pack{number}") for number in range(asked.packs)]
    if asked.every:
        poll_forever(caller, take_urls, asked.every)
    for _ in range(asked.takers - 1):
        threading.Thread(target=take_forever, args=(take_urls[0],), daemon=True).start()
    take_forever(take_urls[0])


if __name__ == "__main__":
    main()
