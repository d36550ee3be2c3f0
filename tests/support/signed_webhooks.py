"""A sender of webhooks that retries until it is answered, as good senders do."""

import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS

SECRET = "It's a Secret to Everybody"
SENDERS = 8


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers of GitHub."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": "issues",
        "X-Hub-Signature-256": f"sha256={digest}",
        "Content-Type": "application/json",
    }


def numbered(number: int) -> bytes:
    return json.dumps({"action": "opened", "issue": {"number": number}}).encode()


@dataclass
class WebhookSenders:
    """Eight senders of numbered webhooks; ``on_answer`` hears how many were answered with 200."""

    url: str
    on_answer: Callable[[int], None]
    answered: int = 0
    tries_without_answer: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, count: int) -> None:
        """Send the numbers below ``count``, each until its answer is 200."""
        left: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(count):
            left.put(number)
        threads = [threading.Thread(target=self._run, args=(left,)) for _ in range(SENDERS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _run(self, left: "queue.SimpleQueue[int]") -> None:
        pause = threading.Event()
        with requests.Session() as session:
            while True:
                try:
                    number = left.get_nowait()
                except queue.Empty:
                    return
                while not self._is_taken(session, numbered(number)):
                    pause.wait(0.05)

    def _is_taken(self, session: requests.Session, body: bytes) -> bool:
        try:
            answer = session.post(self.url, body, headers=signed(body), timeout=PATIENCE_SECONDS)
        except requests.RequestException:
            taken = False
        else:
            taken = answer.status_code == 200
        with self._lock:
            self.answered += taken
            self.tries_without_answer += not taken
            if taken:
                self.on_answer(self.answered)
        return taken


def forgeries(number: int) -> tuple[dict[str, str], bytes]:
    """One that must be refused: headers and body. Some are copies of accepted ones."""
    body = numbered(number)
    match number % 6:
        case 0:
            return signed(body), body  # it was taken before
        case 1:
            return signed(body, "another secret"), body
        case 2:
            return signed(body), numbered(number + 1)
        case 3:
            return {"Content-Type": "application/json"}, body
        case 4:
            return signed(body) | {"X-Hub-Signature-256": "sha256=" + "0" * 64}, body
    changed = signed(body)
    signature = changed["X-Hub-Signature-256"]
    changed["X-Hub-Signature-256"] = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    return changed, body
