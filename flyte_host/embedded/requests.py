"""What packs send: registrations and events, as flyte reads them.

Owns which bodies are taken and what stands for what was left out. Pure: no HTTP, no store.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from flyte_host.embedded.codec import BadDocument, fold, read_time
from flyte_host.embedded.model import Event, Pack, Sender
from flyte_host.model import pack_id

_T = TypeVar("_T")

_FORBIDDEN_REL = re.compile(r"up|self|/(?:actionResult|takeAction|event)$")


class _Link(msgspec.Struct):
    href: str | None = None
    rel: str | None = None

    def document(self) -> dict[str, str]:
        return {"href": self.href or "", "rel": self.rel or ""}


class _Command(msgspec.Struct):
    name: str | None = None
    events: list[str] | None = None
    # flyte shows its own links in their place, always.
    links: list[_Link] | None = None

    def document(self) -> dict[str, Any]:
        return {"name": self.name or "", "events": self.events}


class _EventDef(msgspec.Struct):
    name: str | None = None
    links: list[_Link] | None = None

    def document(self) -> dict[str, Any]:
        links = [link.document() for link in self.links or ()]
        return {"name": self.name or ""} | ({"links": links} if links else {})


class _Registration(msgspec.Struct):
    name: str | None = None
    labels: dict[str, str | None] | None = None
    commands: list[_Command] | None = None
    events: list[_EventDef] | None = None
    links: list[_Link] | None = None


class _Event(msgspec.Struct, rename="camel"):
    event: str | None = None
    payload: Any = None
    created_at: str | None = None


def read_pack(document: Any, now: datetime) -> Pack:
    """The pack that a registration means; raises :class:`BadDocument`."""
    names = ("name", "labels", "commands", "events", "links")
    body = _converted(document, names, _Registration)
    links = [link.document() for link in body.links or ()]
    for link in links:
        if _FORBIDDEN_REL.search(link["rel"]):
            raise BadDocument(
                f"the link rel {link['rel']!r} is flyte's own: a pack's may not contain 'up' or "
                "'self' nor end in /actionResult, /takeAction or /event"
            )
    labels = {key: value or "" for key, value in sorted((body.labels or {}).items())}
    name = body.name or ""
    return Pack(
        sender=Sender(pack_id(name, labels), name, labels),
        commands=[command.document() for command in body.commands or ()],
        events=[event.document() for event in body.events or ()],
        links=links,
        last_seen=now,
    )


def read_event(document: Any, sender: Sender, now: datetime) -> Event:
    """The event that a body means; raises :class:`BadDocument`.

    The sender is who called, whatever the body says.
    """
    body = _converted(document, ("event", "payload", "createdAt"), _Event)
    created_at = read_time(body.created_at) if body.created_at is not None else None
    return Event(body.event or "", sender, body.payload, created_at or now, now)


def _converted(document: Any, names: tuple[str, ...], kind: type[_T]) -> _T:
    if document is None:
        return kind()
    if not isinstance(document, Mapping):
        raise BadDocument(
            f"the body is of type {type(document).__name__}, expected an object with "
            f"{', '.join(names)}"
        )
    try:
        return msgspec.convert(fold(document, names), kind)
    except msgspec.ValidationError as error:
        raise BadDocument(f"the body does not fit: {error}") from None
