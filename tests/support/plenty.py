"""A stand-in for flyte with plenty of work, faster than flyte itself, that counts exactly.

Owns what it gave out and what it got. Must not know sockets: it is behind a ``FaultProxy``.
Like flyte, it cannot revoke a take, and answers the second result of an action with 500.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Sequence

from tests.support.proxy import ProxyAnswer, call_of
from tests.support.scripted_server import Seen, action, links, registered

AUDITED = 1000


class Plenty:
    """Gives out ``inputs`` of the command that each begins with: ``hold 17``."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self._inputs = inputs
        self._lock = threading.Lock()
        self.given = 0
        self.finished: dict[str, str] = {}
        self.twice = 0
        self.events: Counter[str] = Counter()

    def __call__(self, seen: Seen) -> ProxyAnswer:
        url = f"http://{seen.headers['host']}"
        call = call_of(seen)
        if call == "take":
            return self._take(seen, url)
        if call == "result":
            return self._result(seen)
        if call == "event":
            with self._lock:
                self.events[seen.body.partition(b',"createdAt"')[0].decode()] += 1
            return ProxyAnswer(202)
        if call == "register":
            return ProxyAnswer(201, registered(url, json.loads(seen.body)["name"]))
        if call == "audit":
            return self._audit(seen)
        return ProxyAnswer(200, links(url))

    def unfinished(self) -> set[str]:
        """The ids of what was given out and got no result."""
        return {f"a{number}" for number in range(self.given)} - set(self.finished)

    def _take(self, seen: Seen, url: str) -> ProxyAnswer:
        with self._lock:
            if self.given == len(self._inputs):
                return ProxyAnswer(204)
            number, self.given = self.given, self.given + 1
        pack, command = seen.path.split("/")[3], self._inputs[number].partition(" ")[0]
        document = action(url, pack, f"a{number}", command=command, input=self._inputs[number])
        return ProxyAnswer(200, document)

    def _result(self, seen: Seen) -> ProxyAnswer:
        found = re.search("/actions/(a[0-9]+)/result", seen.path)
        assert found is not None
        event = json.loads(seen.body)["event"]
        with self._lock:
            if found[1] in self.finished:
                self.twice += 1
                return ProxyAnswer(500)
            self.finished[found[1]] = event
        return ProxyAnswer(202)

    def _audit(self, seen: Seen) -> ProxyAnswer:
        with self._lock:
            known = list(self.finished)[-AUDITED:] if "start=0" in seen.query else []
        found = {each: {"id": each, "state": {"value": "SUCCESS"}} for each in known}
        return ProxyAnswer(
            200, json.dumps({"flows": [{"actions": found}] if found else []}).encode()
        )
