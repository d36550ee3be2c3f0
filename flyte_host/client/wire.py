"""flyte's JSON documents: pure functions between the bytes of the wire and the model.

Owns the shape of every document that is sent or read, and how links are found and repaired in
them. Must not know HTTP: nothing here sends, waits or logs. What cannot be encoded or decoded is
a ValueError with a sentence for people, which never quotes the document itself.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import msgspec

from flyte_host.json_decoding import decode_json
from flyte_host.json_encoding import encode_finite_json, encode_json
from flyte_host.model import (
    FATAL,
    Command,
    EncodedEvent,
    Event,
    EventDef,
    HeardNews,
    PackDef,
    Registration,
    StepRun,
    Taken,
)
from flyte_host.text import escape_controls, printable
from flyte_host.type_caches import fill_type_caches

Links = tuple[tuple[str, str], ...]
"""``(rel, href)`` in the order in which flyte gave them."""

STEP_HEADER = "Flyte-Step"
"""Beside an action from a flyte in this process: ``flow/step/execution``, percent-encoded."""

STATE_HEADER = "Flyte-Action-State"
"""Beside embedded flyte's 500 to a result: the state for which the action takes none."""
FINISHED_STATES = frozenset({"SUCCESS", "FATAL"})

LONGEST_PROBLEM = 500
"""How many characters of an answer's own words are shown."""

_Document = TypeVar("_Document")


class _EventDocument(msgspec.Struct, rename="camel"):
    """There is no ``pack`` here on purpose: it would overrule who sends the event."""

    event: str
    payload: msgspec.Raw
    created_at: datetime


class _Link(msgspec.Struct):
    href: str = ""
    rel: str = ""


class _LinksDocument(msgspec.Struct):
    links: list[_Link] | None = None


class _PackDocument(_LinksDocument, kw_only=True):
    id: str


class _WaitingDocument(msgspec.Struct):
    packName: str  # noqa: N815  flyte's word
    packLabels: dict[str, str]  # noqa: N815


class _NewsDocument(msgspec.Struct):
    cursor: str
    waiting: list[_WaitingDocument]
    checks: bool = False


class _ActionDocument(_LinksDocument, kw_only=True):
    command: str
    input: msgspec.Raw = msgspec.Raw(b"null")


class _AuditedState(msgspec.Struct):
    value: str


class _AuditedAction(msgspec.Struct):
    id: str
    state: _AuditedState


class _AuditedFlow(msgspec.Struct):
    actions: dict[str, _AuditedAction] | None = None


class _AuditDocument(msgspec.Struct):
    flows: list[_AuditedFlow] | None


class _ProblemDocument(msgspec.Struct):
    error: str


LARGEST_PAYLOAD_BYTES = 15_000_000
"""flyte keeps an event as one document of its store, which takes 16 MB."""


def encode_event(event: Event, created_at: datetime) -> bytes:
    """The body of a result or an event: ``{"event", "payload", "createdAt"}``.

    Raises ValueError if the payload is larger than flyte can keep, or not JSON.
    """
    if isinstance(event, EncodedEvent):
        return event.body
    name = event.event_def.name
    what = f"payload of {printable(name)}"
    payload = encode_finite_json(what, event.payload, root="payload")
    if len(payload) > LARGEST_PAYLOAD_BYTES:
        raise ValueError(
            f"{what} has {len(payload):,} bytes, flyte keeps at most {LARGEST_PAYLOAD_BYTES:,}; "
            "send a reference to it instead"
        )
    return _encode_event(name, msgspec.Raw(payload), created_at)


def encode_fatal(text: str, created_at: datetime) -> bytes:
    """The body of a result that is the event ``FATAL``; any text will do."""
    payload = msgspec.json.encode(printable(text))
    return _encode_event(FATAL, msgspec.Raw(payload), created_at)


def _encode_event(name: str, payload: msgspec.Raw, created_at: datetime) -> bytes:
    if created_at.tzinfo is None:
        raise ValueError(f"createdAt needs a zone, found {created_at.isoformat()}")
    document = _EventDocument(name, payload, created_at.astimezone(UTC))
    return encode_json(f"event {printable(name)}", document, root="event")


def encode_pack(pack: PackDef) -> bytes:
    """The body of a registration, with every event once: those of the commands, then its own.

    ``FATAL`` is never declared, since every command can send it.
    """
    document: dict[str, Any] = {"name": pack.name}
    if pack.labels:
        document["labels"] = dict(pack.labels)
    document["events"] = [_named(event.name, event.help_url) for event in _events(pack)]
    if pack.commands:
        document["commands"] = [_command(command) for command in pack.commands]
    document["links"] = _help(pack.help_url)
    return encode_json(f"pack {printable(pack.name)}", document, root="pack")


def _events(pack: PackDef) -> Iterable[EventDef]:
    outputs = [event for command in pack.commands for event in command.output_events]
    return _each_once([*outputs, *pack.event_defs])


def _each_once(events: Sequence[EventDef]) -> Iterable[EventDef]:
    first = {event.name: event for event in reversed(events)}
    return (first[name] for name in dict.fromkeys(e.name for e in events) if name != FATAL)


def _command(command: Command) -> dict[str, Any]:
    document = _named(command.name, command.help_url)
    links = document.pop("links", None)
    document["events"] = [event.name for event in _each_once(command.output_events)]
    return document if links is None else document | {"links": links}


def _named(name: str, help_url: str | None) -> dict[str, Any]:
    return {"name": name, "links": _help(help_url)} if help_url else {"name": name}


def _help(help_url: str | None) -> list[dict[str, str]]:
    return [{"href": help_url, "rel": "help"}] if help_url else []


def decode_links(document: bytes) -> Links:
    """The links of an answer."""
    return _links(_decode(document, _LinksDocument, "links"))


def find_link(links: Links, suffix: str) -> str | None:
    """The href of the last link whose rel ends with ``suffix``.

    flyte's rels are URLs of its own documentation, so only their ends are known. The last one,
    because flyte puts its own links behind those that the pack gave itself: a pack with a link
    ``myevent`` must not redirect its own events.
    """
    found = [href for rel, href in links if href and rel.endswith(suffix)]
    return found[-1] if found else None


def decode_registration(document: bytes) -> Registration:
    """What flyte answers to a registration, with escaped hrefs."""
    pack = _decode(document, _PackDocument, "a registered pack")
    links = _links(pack)
    return Registration(
        pack_id=pack.id,
        take_href=escape_pack_id(_wanted(links, "takeAction"), pack.id),
        events_href=escape_pack_id(_wanted(links, "/event"), pack.id),
    )


def find_waiting_link(header: str) -> str | None:
    """The href in a header ``Link`` whose rel ends with ``/waiting``."""
    found = re.search(r'<([^<>]*)>\s*;\s*rel="[^"]*/waiting"', header)
    return found[1] if found else None


def encode_watch(packs: Iterable[PackDef], cursor: str, seconds: float, *, is_check: bool) -> bytes:
    """The packs whose actions a host wants to hear of."""
    watched = [{"name": pack.name, "labels": dict(pack.labels)} for pack in packs]
    return msgspec.json.encode(
        {"packs": watched, "cursor": cursor, "seconds": seconds, "check": is_check}
    )


def decode_news(document: bytes) -> HeardNews:
    """For which packs actions wait."""
    found = _decode(document, _NewsDocument, "news of actions")
    waiting = [(each.packName, each.packLabels) for each in found.waiting]
    return HeardNews(found.cursor, waiting, found.checks)


def decode_taken(document: bytes) -> Taken:
    """The action that flyte gave out; its result href is as flyte wrote it, not yet escaped."""
    action = _decode(document, _ActionDocument, "an action")
    href = _wanted(_links(action), "actionResult")
    return Taken(action_id(href), action.command, bytes(action.input), href)


def event_name(document: bytes) -> str:
    """The name in a document of :func:`encode_event`; empty if it is something else."""
    try:
        return decode_json(document, _EventDocument).event
    except ValueError:
        return ""


def decode_step(header: str) -> StepRun | None:
    """What embedded flyte tells in :data:`STEP_HEADER`; None if it is something else."""
    parts = [unquote(each) for each in header.split("/")]
    return StepRun(*parts) if len(parts) == 3 else None


def action_id(href: str) -> str:
    """The id of an action, which flyte tells only as a part of the link for its result."""
    match = re.search(r".*/actions/([^/?#]+)/result$", href, re.DOTALL)
    if match is None:
        raise ValueError(f"expected a link …/actions/<id>/result, found {href!a}")
    return unquote(match[1])


def escape_pack_id(href: str, pack_id: str) -> str:
    """``href`` with the pack's id percent-encoded: flyte writes it into its links as it is.

    Only the id tells a ``%``, ``?`` or ``#`` of a name from one of the URL; an href that does not
    hold the raw id is left alone.
    """
    before, raw, after = href.rpartition(f"/packs/{pack_id}/")
    return f"{before}/packs/{quote(pack_id, safe='')}/{after}" if raw else href


def decode_action_states(document: bytes) -> dict[str, str]:
    """Of one page of the audit: the state of every action by the action's id."""
    flows = _decode(document, _AuditDocument, "audited flows").flows or []
    actions = [action for flow in flows for action in (flow.actions or {}).values()]
    return {action.id: action.state.value for action in actions}


def decode_problem(document: bytes) -> str:
    """What embedded flyte says is wrong, as one line; empty for the Go server, which does not."""
    try:
        said = decode_document(document, _ProblemDocument).error
    except ValueError:
        return ""
    return escape_controls(said[:LONGEST_PROBLEM])


def decode_document(document: bytes, shape: type[_Document]) -> _Document:
    """An answer for people, such as an execution or a list of flows."""
    return _decode(document, shape, "an answer of flyte")


def _links(document: _LinksDocument) -> Links:
    return tuple((link.rel, link.href) for link in document.links or ())


def _wanted(links: Links, suffix: str) -> str:
    href = find_link(links, suffix)
    if href is None:
        raise ValueError(f"expected a link whose rel ends with {suffix}, found none")
    return href


fill_type_caches(_PackDocument, _ActionDocument, _LinksDocument, _AuditDocument)


def _decode(document: bytes, shape: type[_Document], what: str) -> _Document:
    try:
        return decode_json(document, shape)
    except ValueError as error:
        found = "a web page" if document.lstrip()[:1] == b"<" else str(error)
        raise ValueError(f"expected {what} as JSON, found {len(document)} bytes: {found}") from None
