"""The Graphite pack: AddEvents, and whether graphite-web would take one.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, RestClient, decode, health_of

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_graphite.settings import GraphiteSettings

HELP_URL = "http://github.com/HotelsDotCom/flyte-graphite/README.md"
ADD_EVENTS_SUCCESS = EventDef("AddEventsSuccess")
"""Payload: ``{tags, what, data}``."""
ADD_EVENTS_FAILURE = EventDef("AddEventsFailure")
"""Payload: ``{tags, what, data, error}``; with ``go_compatible`` in the Go pack's order."""


class AddEventsInput(msgspec.Struct, frozen=True):
    what: str = ""
    tags: str = ""
    data: str = ""


class GraphitePack:
    """Adds events, which Graphite draws into graphs; drop-in for the Go pack flyte-graphite.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own).
    """

    def __init__(
        self, settings: GraphiteSettings, environ: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._graphite = RestClient(self._settings.target())

    @hookimpl
    def flyte_pack(self) -> PackDef:
        # Not idempotent: an event that is added twice appears twice.
        events = [ADD_EVENTS_SUCCESS, ADD_EVENTS_FAILURE]
        return PackDef("Graphite", HELP_URL, commands=[Command("AddEvents", self._add, events)])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Graphite, and its other packs are fine.
        return [HealthCheck("graphite", self._check, critical=False)]

    def _add(self, input: Any) -> Event:
        decoded = decode(AddEventsInput, input)
        wanted = decoded.value
        if decoded.error:
            return self._unreadable(wanted, decoded.error)
        if not wanted.what:
            return self._nothing(wanted)
        if error := self._post(wanted):
            return self._refused(wanted, f"Fail: could not apply event: {error}")
        return ADD_EVENTS_SUCCESS(_told(wanted))

    def _post(self, wanted: AddEventsInput) -> str:
        """Why Graphite does not have the event; empty if it does."""
        try:
            answer = self._graphite.send("POST", "events", "", body=_told(wanted))
        except NoAnswer as cause:
            return str(cause)
        if answer.stranger:
            return f"status code {answer.status} ({answer.stranger})"
        return "" if answer.status == 200 else f"status code {answer.status}"

    def _unreadable(self, wanted: AddEventsInput, cause: str) -> Event:
        error = f"Fail: Could not marshal Tags,What and Data into json: {cause}\n"
        if self._settings.go_compatible:
            others = dict.fromkeys(("what", "data", "error"), "unknown")
            return ADD_EVENTS_FAILURE({"tags": error} | others)
        return _failed(wanted, error.strip())

    def _nothing(self, wanted: AddEventsInput) -> Event:
        error = "What must not be null"
        if self._settings.go_compatible:
            # The Go pack passes what, data and tags in the places of tags, what and data.
            wanted = AddEventsInput(tags=wanted.what, what=wanted.data, data=wanted.tags)
        return _failed(wanted, error)

    def _refused(self, wanted: AddEventsInput, error: str) -> Event:
        if self._settings.go_compatible:
            # The Go pack passes the error in the place of the tags, and vice versa.
            return _failed(msgspec.structs.replace(wanted, tags=error), wanted.tags)
        return _failed(wanted, error)

    def _check(self) -> Health:
        return health_of(self._graphite, "Graphite", "events", "get_data", **{"from": "-1min"})


def _told(wanted: AddEventsInput) -> dict[str, Any]:
    return {"tags": wanted.tags, "what": wanted.what, "data": wanted.data}


def _failed(wanted: AddEventsInput, error: str) -> Event:
    return ADD_EVENTS_FAILURE(_told(wanted) | {"error": error})
