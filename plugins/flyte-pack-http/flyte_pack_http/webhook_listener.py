"""The pack's own server, while the host runs.

Owns its start, its end and its health. Must not know what a webhook is.
"""

import threading
from collections.abc import Callable

from flyte_host import Event, Health
from flyte_host.body_limit import BodyLimit
from flyte_host.thread_watch import ThreadWatch
from flyte_host.web.limits import Limits
from flyte_host.web.web_server import WebServer
from flyte_pack_http.replay_memory import ReplayMemory
from flyte_pack_http.settings import HttpSettings
from flyte_pack_http.webhook_app import WebhookApp
from flyte_pack_http.webhook_counts import WebhookCounts

_THREADS = 8
_LIMITS = Limits(body_seconds=10, idle_seconds=30, connections=256)
_LOOK_SECONDS = 1.0
"""How often to check that the server still runs."""
_ROOM_BYTES = 32 * 1024 * 1024
"""For all bodies together; nobody waits until it is full: senders may be far away and slow."""


class WebhookListener:
    """Listens in :meth:`serve`; ``now`` is the time of day, ``limits`` what clients may take."""

    def __init__(
        self, settings: HttpSettings, now: Callable[[], float], limits: Limits | None = None
    ) -> None:
        self._settings = settings
        self._now = now
        self._limits = limits or _LIMITS
        self._counts = WebhookCounts()
        self._problem = "not listening yet"
        self.url = ""

    def serve(self, emit: Callable[[Event], None], stopping: threading.Event) -> None:
        """Answer until ``stopping``; raises what keeps it from listening, then or later."""
        settings = self._settings
        memory = ReplayMemory(settings.remember_file, settings.remember_seconds, self._now)
        app = WebhookApp(settings, self._now, memory, emit, self._counts)
        most_bytes, watch = settings.max_body_bytes, ThreadWatch("the listener")
        server = WebServer(
            BodyLimit(app, most_bytes, room_bytes=_ROOM_BYTES),
            settings.address(),
            name="webhooks",
            threads=_THREADS,
            limits=self._limits,
            watch=watch,
        )
        try:
            memory.open()
            server.start()
            self.url, self._problem = server.url, ""
            _wait(stopping, watch)
            server.stop()
            self._problem = "stopped"
        except Exception as cause:
            self._problem = f"{settings.listen}: {cause}"
            raise
        finally:
            self.url = ""
            memory.close()

    def check(self) -> Health:
        """Whether webhooks arrive, and how many did."""
        if self._problem:
            return Health(False, self._problem)
        return Health(True, f"listening on {self.url}: {self._counts.status()}")


def _wait(stopping: threading.Event, watch: ThreadWatch) -> None:
    """Until ``stopping``; raises RuntimeError if the server ends before."""
    while not stopping.wait(_LOOK_SECONDS):
        if watch.problem:
            raise RuntimeError(watch.problem)
