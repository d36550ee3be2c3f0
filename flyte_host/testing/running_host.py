"""A host that a test has started.

Owns what a test asks of it.
"""

from typing import Any

import requests

from flyte_host.host.host import Host
from flyte_host.testing.host_log import HostLog
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until


class RunningHost:
    """A host against a test's flyte, health pages on a free port."""

    def __init__(self, host: Host, log: HostLog | None = None) -> None:
        self.host = host
        self._log = log

    @property
    def health_url(self) -> str:
        """Where the health pages are."""
        return self.host.health_url

    def page(self, path: str) -> tuple[int, Any]:
        """A health page: its status and document."""
        answer = requests.get(
            f"{self.health_url}/{path.removeprefix('/')}", timeout=PATIENCE_SECONDS
        )
        return answer.status_code, answer.json()

    def wait_ready(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until every pack is registered and polled."""
        __tracebackhide__ = True
        seen: list[dict[str, Any]] = []

        def ready() -> bool:
            status, document = self.page("/ready")
            seen[:] = [document]
            return status == 200

        def saw(_: object) -> str:
            lines = [
                f"/ready: {name}: {check['reason']}"
                for name, check in (seen[-1]["checks"] if seen else {}).items()
                if not check["healthy"]
            ]
            lines += [f"host's log: {each}" for each in (self._log.lines() if self._log else ())]
            return "".join(f"\n  {line}" for line in lines)

        wait_until(ready, "the host is ready", timeout_seconds=timeout_seconds, describe=saw)

    def stop(self, drain_seconds: float = 10) -> int:
        """Drain and stop; returns how much the journal keeps."""
        return self.host.stop(drain_seconds)
