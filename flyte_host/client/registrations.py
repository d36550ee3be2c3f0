"""What flyte knows of our packs at this moment.

Owns registering, once for all who need it, and forgetting what flyte forgot. Must not know when a
pack is polled or what is delivered.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from flyte_host.client import FlyteClient
from flyte_host.errors import FlyteError
from flyte_host.model import Registration
from flyte_host.packs import ServedPack

log = logging.getLogger(__name__)


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.registration: Registration | None = None
        self.registered_at = 0.0
        self.problem = "not registered yet"


class Registrations:
    """Safe to use from any thread; two that need one pack at once register it once."""

    def __init__(
        self,
        client: FlyteClient,
        packs: Mapping[str, ServedPack],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._packs = packs
        self._clock = clock
        self._entries = {pack_key: _Entry() for pack_key in packs}

    def __contains__(self, pack_key: str) -> bool:
        return pack_key in self._entries

    def get(self, pack_key: str, *, not_older_than_seconds: float | None = None) -> Registration:
        """The pack's registration, made if there is none (or none so young); raises FlyteError."""
        entry = self._entries[pack_key]
        with entry.lock:
            if entry.registration is None or self._is_old(entry, not_older_than_seconds):
                entry.registration = self._register(pack_key, entry)
            return entry.registration

    def forget(self, pack_key: str, known: Registration) -> None:
        """Flyte answered 404 to ``known``: the next ``get`` registers, unless one did already."""
        entry = self._entries[pack_key]
        with entry.lock:
            if entry.registration is known:
                entry.registration = None
                entry.problem = "flyte forgot the pack; it is registered again"
                log.warning(
                    "flyte does not know pack %s any more, registering it again",
                    known.pack_id,
                    extra={"pack": pack_key},
                )

    def problem(self, pack_key: str) -> str:
        """Why the pack is not registered; empty if it is."""
        return self._entries[pack_key].problem

    def _is_old(self, entry: _Entry, seconds: float | None) -> bool:
        return seconds is not None and self._clock() - entry.registered_at >= seconds

    def _register(self, pack_key: str, entry: _Entry) -> Registration:
        pack = self._packs[pack_key]
        first = entry.registered_at == 0.0 or bool(entry.problem)
        try:
            registration = self._client.register(pack.definition)
        except FlyteError as error:
            entry.registration = None
            entry.problem = f"registration failed: {error}"
            raise
        entry.registered_at = self._clock()
        entry.problem = ""
        if first:
            log.info(
                "registered as %s: %s", registration.pack_id, _offer(pack), extra={"pack": pack_key}
            )
        return registration


def _offer(pack: ServedPack) -> str:
    commands = ", ".join(pack.commands) or "none"
    return f"commands {commands}"
