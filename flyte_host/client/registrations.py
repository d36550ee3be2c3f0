"""What flyte knows of our packs at this moment.

Owns registering, once for all who need it, and forgetting what flyte forgot. Must not know when a
pack is polled or what is delivered.
"""

import logging
import threading
from collections.abc import Mapping

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.errors import FlyteError
from flyte_host.model import PackDef, Registration

log = logging.getLogger(__name__)


class _Entry:
    def __init__(self, definition: PackDef) -> None:
        self.definition = definition
        self.lock = threading.Lock()
        self.registration: Registration | None = None
        self.was_registered = False
        self.problem = "not registered yet"


class Registrations:
    """Safe to use from any thread; two that need one pack at once register it once."""

    def __init__(self, client: FlyteClient, definitions: Mapping[str, PackDef]) -> None:
        self._client = client
        self._entries = {pack_key: _Entry(pack) for pack_key, pack in definitions.items()}

    def __contains__(self, pack_key: str) -> bool:
        return pack_key in self._entries

    def get(self, pack_key: str, *, anew: bool = False) -> Registration:
        """The pack's registration, made if there is none, or ``anew``; raises FlyteError."""
        entry = self._entries[pack_key]
        with entry.lock:
            if entry.registration is not None and not anew:
                return entry.registration
            is_first, had_problem = not entry.was_registered, bool(entry.problem)
            registration = self._register(entry)
        if is_first:
            commands = ", ".join(each.name for each in entry.definition.commands) or "none"
            log.info(
                "registered as %s: commands %s",
                registration.pack_id,
                commands,
                extra={"pack": pack_key},
            )
        elif had_problem:
            _tell_again(pack_key, registration)
        return registration

    def known(self, pack_key: str) -> Registration | None:
        """How the pack is registered now, for :meth:`renew`; None: it is not."""
        entry = self._entries.get(pack_key)
        return None if entry is None else entry.registration

    def renew(self, pack_key: str, known: Registration | None) -> None:
        """Register the pack again, since flyte did not know an action of it; raises FlyteError.

        Not if another caller did so since it was ``known``.
        """
        entry = self._entries[pack_key]
        with entry.lock:
            if entry.registration is not known:
                return
            log.warning(
                "flyte does not know an action of pack %s; registering it again",
                entry.definition.name,
                extra={"pack": pack_key},
            )
            registration = self._register(entry)
        _tell_again(pack_key, registration)

    def forget(self, pack_key: str, known: Registration) -> bool:
        """flyte answered 404 to ``known``: the next ``get`` registers. False: that is old news."""
        entry = self._entries[pack_key]
        with entry.lock:
            if entry.registration is not known:
                return False
            entry.registration = None
            entry.problem = "flyte forgot the pack; it is registered again"
        log.warning(
            "flyte no longer knows pack %s; registering it again",
            known.pack_id,
            extra={"pack": pack_key},
        )
        return True

    def problem(self, pack_key: str) -> str:
        """Why the pack is not registered; empty if it is."""
        return self._entries[pack_key].problem

    def _register(self, entry: _Entry) -> Registration:
        try:
            entry.registration = self._client.register(entry.definition)
        except FlyteError as error:
            entry.registration = None
            entry.problem = f"registration failed: {error}"
            raise
        entry.was_registered = True
        entry.problem = ""
        return entry.registration


def _tell_again(pack_key: str, registration: Registration) -> None:
    log.info("registered again as %s", registration.pack_id, extra={"pack": pack_key})
