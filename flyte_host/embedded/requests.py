"""Bodies that packs send → registrations and events.

Owns which bodies are accepted and the defaults for what they leave out. Pure: no HTTP, no store.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from flyte_host.embedded.codec import BadDocument, check_size, fold
from flyte_host.embedded.model import GivenEvent, PackIdentity, RegisteredPack, pack_id
from flyte_host.embedded.names import why_unaddressable
from flyte_host.embedded.rfc3339 import read_time
from flyte_host.embedded.waiting_board import PackWatch
from flyte_host.json_decoding import decode_json
from flyte_host.type_caches import fill_type_caches

_T = TypeVar("_T", bound=msgspec.Struct)

LONGEST_WAIT_SECONDS = 300.0
"""How long a request may be kept open."""
_FORBIDDEN_REL = re.compile(r"up|self|/(?:actionResult|takeAction|event)\Z")


class _WatchedPackBody(msgspec.Struct):
    name: str
    labels: dict[str, str] = {}


class _WatchBody(msgspec.Struct):
    packs: list[_WatchedPackBody]
    cursor: str = ""
    seconds: float = 0.0
    check: bool = False


def read_watch(document: bytes) -> PackWatch:
    """What a host waits for, always JSON; raises :class:`BadDocument`."""
    check_size(document)
    try:
        body = decode_json(document, _WatchBody)
    except ValueError as error:
        raise BadDocument(f"expected the packs of a host: {error}") from None
    packs: dict[str, list[Mapping[str, str]]] = {}
    for each in body.packs:
        packs.setdefault(each.name, []).append(each.labels)
    seconds = min(max(0.0, body.seconds), LONGEST_WAIT_SECONDS)
    return PackWatch(packs, body.cursor, seconds, body.check)


class _LinkBody(msgspec.Struct):
    href: str | None = None
    rel: str | None = None

    def document(self) -> dict[str, str]:
        return {"href": self.href or ""} | ({"rel": self.rel} if self.rel else {})


class _CommandBody(msgspec.Struct):
    name: str | None = None
    events: list[str | None] | None = None
    # Accepted and dropped: the API shows its own link instead.
    links: list[_LinkBody] | None = None

    def document(self) -> dict[str, Any]:
        events = None if self.events is None else [event or "" for event in self.events]
        return {"name": self.name or "", "events": events}


class _EventDefBody(msgspec.Struct):
    name: str | None = None
    links: list[_LinkBody] | None = None

    def document(self) -> dict[str, Any]:
        links = [link.document() for link in self.links or ()]
        return {"name": self.name or ""} | ({"links": links} if links else {})


class _PackBody(msgspec.Struct, rename="camel"):
    name: str | None = None
    labels: dict[str, str | None] | None = None
    commands: list[_CommandBody] | None = None
    events: list[_EventDefBody] | None = None
    links: list[_LinkBody] | None = None
    # Accepted and dropped, if they have the right type: flyte sets its own values.
    id: str | None = None
    last_seen: str | None = None


class _SenderBody(msgspec.Struct, rename="camel"):
    id: str | None = None
    name: str | None = None
    labels: dict[str, str | None] | None = None
    last_seen: str | None = None


class _EventBody(msgspec.Struct, rename="camel"):
    event: str | None = None
    payload: Any = None
    created_at: str | None = None
    # Accepted and dropped, if they have the right type: the sender is always the caller.
    received_at: str | None = None
    pack: _SenderBody | None = None


def read_pack(document: Any, now: datetime) -> RegisteredPack:
    """The pack in a registration; raises :class:`BadDocument`."""
    body = _convert(document, _PackBody)
    _check_times(body.last_seen)
    links = [link.document() for link in body.links or ()]
    for link in links:
        if _FORBIDDEN_REL.search(link.get("rel", "")):
            raise BadDocument(
                f"the link rel {link['rel']!r} is reserved for flyte: a pack's may not contain "
                "'up' or 'self', nor end in /actionResult, /takeAction or /event"
            )
    labels = {key: value or "" for key, value in sorted((body.labels or {}).items())}
    name = body.name or ""
    identity = PackIdentity(pack_id(name, labels), name, labels)
    if reason := why_unaddressable(identity.id):
        raise BadDocument(f"the pack's id {identity.id!r} {reason}, so no URL could address it")
    return RegisteredPack(
        sender=identity,
        commands=[command.document() for command in body.commands or ()],
        events=[event.document() for event in body.events or ()],
        links=links,
        last_seen=now,
    )


def read_event(document: Any, now: datetime, trace: str = "") -> GivenEvent:
    """The event in a body; raises :class:`BadDocument`.

    Its pack is always the caller, whatever the body says. ``trace`` comes from the headers.
    """
    body = _convert(document, _EventBody)
    _check_times(body.received_at, body.pack.last_seen if body.pack else None)
    created_at = read_time(body.created_at) if body.created_at is not None else None
    return GivenEvent(body.event or "", body.payload, created_at or now, now, trace)


def _check_times(*texts: str | None) -> None:
    for text in texts:
        if text is not None:
            read_time(text)


fill_type_caches(_PackBody, _EventBody, _WatchBody)


def _convert(document: Any, kind: type[_T]) -> _T:
    if document is None:
        return kind()
    if not isinstance(document, Mapping):
        names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
        raise BadDocument(
            f"found a body of type {type(document).__name__}, expected an object with {names}"
        )
    try:
        return msgspec.convert(_fold_into(kind, document), kind)
    except msgspec.ValidationError as error:
        raise BadDocument(f"the body does not fit: {error}") from None


def _fold_into(kind: Any, value: Any) -> Any:
    """``value`` with the keys of ``kind`` in their usual case, at every level, as Go reads them.

    ``null`` in a list of objects is an empty one.
    """
    if isinstance(value, list):
        return [_fold_into(kind, {} if item is None else item) for item in value]
    if not isinstance(value, Mapping):
        return value
    inner_kinds = _keys_of(kind)
    folded = fold(value, inner_kinds)
    for name, inner in inner_kinds.items():
        if inner is not None and name in folded:
            folded[name] = _fold_into(inner, folded[name])
    return folded


@cache
def _keys_of(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """The keys of a struct, with the struct inside their values, if there is one."""
    return {field.encode_name: _struct_in(field.type) for field in msgspec.structs.fields(kind)}


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct in ``list[struct] | None`` or ``struct | None``."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for inner in get_args(kind) if (found := _struct_in(inner))), None)
