"""The Serf pack: SendEvent, and the user events of the cluster.

Owns what flyte and the operator see of it as a whole.
"""

import logging
import os
from collections.abc import Callable, Mapping
from threading import Event as ThreadEvent
from typing import Any

import msgspec
from flyte_pack_kit import HEALTH_LIMIT_SECONDS, decode

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_serf.agent_connection import AgentConnection, SerfFailed, as_text
from flyte_pack_serf.settings import SerfSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-serf/blob/master/README.md"
EVENT_SENT = EventDef("EventSent")
"""Payload: ``{name, payload, coalesce}``."""
SEND_EVENT_FAILED = EventDef("SendEventFailed")
"""Payload: a text with ``go_compatible``, else ``{name, payload, coalesce, error}``."""
USER_EVENT = EventDef("UserEvent")
"""Payload: ``{name, payload}``."""

_SHORTEST_PAUSE_SECONDS = 0.5

log = logging.getLogger(__name__)


class SendEventInput(msgspec.Struct, frozen=True):
    name: str = ""
    payload: str = ""
    coalesce: bool = False


class SerfPack:
    """Sends and hears user events of a Serf cluster; drop-in for the Go pack flyte-serf.

    ``environ`` is where Serf's variables are looked up (None: the process's own).
    """

    def __init__(self, settings: SerfSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._deaf_because = ""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        # Not idempotent: an event that is sent twice arrives twice.
        events = [EVENT_SENT, SEND_EVENT_FAILED]
        commands = [Command("SendEvent", self._send, events)]
        return PackDef("Serf", HELP_URL, event_defs=[USER_EVENT], commands=commands)

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair the agent, and its other packs are fine.
        return [HealthCheck("serf", self._check, critical=False)]

    @hookimpl
    def flyte_observe(self, emit: Callable[[Event], None], stopping: ThreadEvent) -> None:
        """Hear user events; what the cluster raises while the agent is away is lost."""
        pause_seconds = 0.0
        while not stopping.wait(pause_seconds):
            try:
                with AgentConnection(self._settings) as agent:
                    agent.call("stream", {"Type": "user"})
                    self._deaf_because, pause_seconds = "", 0.0
                    for each in agent.user_events(stopping):
                        told = {"name": each.get("Name"), "payload": each.get("Payload")}
                        emit(USER_EVENT({key: as_text(value) for key, value in told.items()}))
            except SerfFailed as cause:
                pause_seconds = self._pause_after(pause_seconds, str(cause))

    def _pause_after(self, pause_seconds: float, cause: str) -> float:
        if not self._deaf_because:
            log.warning("Serf: receiving no user events: %s", cause)
        self._deaf_because = cause
        longer = max(2 * pause_seconds, _SHORTEST_PAUSE_SECONDS)
        return min(longer, self._settings.longest_pause_seconds)

    def _send(self, input: Any) -> Event:
        decoded = decode(SendEventInput, input)
        wanted = decoded.value
        error = decoded.error or self._sent(wanted)
        if not error:
            return EVENT_SENT(wanted)
        if self._settings.go_compatible:
            return SEND_EVENT_FAILED(error)
        return SEND_EVENT_FAILED(msgspec.to_builtins(wanted) | {"error": error})

    def _sent(self, wanted: SendEventInput) -> str:
        """Why Serf does not have the event; empty if it does."""
        if not wanted.name:
            return "Can't send user event: Event name is not provided"
        body = {"Name": wanted.name, "Payload": wanted.payload, "Coalesce": wanted.coalesce}
        try:
            with AgentConnection(self._settings) as agent:
                agent.call("event", body)
        except SerfFailed as cause:
            return f"Can't send user event: {cause}"
        return ""

    def _check(self) -> Health:
        limit_seconds = min(HEALTH_LIMIT_SECONDS, self._settings.timeout_seconds)
        try:
            with AgentConnection(self._settings, limit_seconds) as agent:
                agent.call("stats")
        except SerfFailed as cause:
            return Health(False, str(cause))
        if self._deaf_because:
            return Health(False, f"receiving no user events: {self._deaf_because}")
        return Health(True, f"{self._settings.rpc_address} answers")
