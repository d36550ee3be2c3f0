"""Bodies that packs send → registrations and events.

Owns which bodies are accepted and the defaults for what they leave out. Pure: no HTTP, no store.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from flyte_host.embedded.codec import BadDocument, fold
from flyte_host.embedded.model import PackEvent, PackIdentity, RegisteredPack, pack_id
from flyte_host.embedded.rfc3339 import read_time

_T = TypeVar("_T")

_FORBIDDEN_REL = re.compile(r"up|self|/(?:actionResult|takeAction|event)$")


class _LinkBody(msgspec.Struct):
    href: str | None = None
    rel: str | None = None

    def document(self) -> dict[str, str]:
        return {"href": self.href or "", "rel": self.rel or ""}


class _CommandBody(msgspec.Struct):
    name: str | None = None
    events: list[str] | None = None
    # Accepted and dropped: the API shows a link of its own instead.
    links: list[_LinkBody] | None = None

    def document(self) -> dict[str, Any]:
        return {"name": self.name or "", "events": self.events}


class _EventDefBody(msgspec.Struct):
    name: str | None = None
    links: list[_LinkBody] | None = None

    def document(self) -> dict[str, Any]:
        links = [link.document() for link in self.links or ()]
        return {"name": self.name or ""} | ({"links": links} if links else {})


class _PackBody(msgspec.Struct):
    name: str | None = None
    labels: dict[str, str | None] | None = None
    commands: list[_CommandBody] | None = None
    events: list[_EventDefBody] | None = None
    links: list[_LinkBody] | None = None


class _EventBody(msgspec.Struct, rename="camel"):
    event: str | None = None
    payload: Any = None
    created_at: str | None = None


def read_pack(document: Any, now: datetime) -> RegisteredPack:
    """The pack in a registration; raises :class:`BadDocument`."""
    names = ("name", "labels", "commands", "events", "links")
    body = _convert(document, names, _PackBody)
    links = [link.document() for link in body.links or ()]
    for link in links:
        if _FORBIDDEN_REL.search(link["rel"]):
            raise BadDocument(
                f"the link rel {link['rel']!r} is reserved for flyte: a pack's may not contain "
                "'up' or 'self', nor end in /actionResult, /takeAction or /event"
            )
    labels = {key: value or "" for key, value in sorted((body.labels or {}).items())}
    name = body.name or ""
    return RegisteredPack(
        sender=PackIdentity(pack_id(name, labels), name, labels),
        commands=[command.document() for command in body.commands or ()],
        events=[event.document() for event in body.events or ()],
        links=links,
        last_seen=now,
    )


def read_event(document: Any, sender: PackIdentity, now: datetime) -> PackEvent:
    """The event in a body; raises :class:`BadDocument`.

    The sender is always the caller, whatever the body says.
    """
    body = _convert(document, ("event", "payload", "createdAt"), _EventBody)
    created_at = read_time(body.created_at) if body.created_at is not None else None
    return PackEvent(body.event or "", sender, body.payload, created_at or now, now)


def _convert(document: Any, names: tuple[str, ...], kind: type[_T]) -> _T:
    if document is None:
        return kind()
    if not isinstance(document, Mapping):
        raise BadDocument(
            f"found a body of type {type(document).__name__}, expected an object with "
            f"{', '.join(names)}"
        )
    try:
        return msgspec.convert(fold(document, names), kind)
    except msgspec.ValidationError as error:
        raise BadDocument(f"the body does not fit: {error}") from None
