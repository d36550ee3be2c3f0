"""What flyte keeps → the documents of its API, with their links.

Owns the keys, their order and which are left out, all as in the Go server. Pure. ``base`` is
the scheme and host that the caller used; hrefs are not percent-encoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flyte_host.embedded.decision_log import KeptDecision, UnheardEvent
from flyte_host.embedded.flow import Flow, flow_document, step_document
from flyte_host.embedded.model import (
    ActionState,
    AuditedAction,
    AuditedExecution,
    AuditedSkip,
    AuditPage,
    DataItem,
    PackEvent,
    PackIdentity,
    RegisteredPack,
    TakenAction,
)
from flyte_host.embedded.rfc3339 import ZERO_TIME, write_time
from flyte_host.embedded.waiting_board import News

Document = dict[str, Any]

LIVE_FOR = timedelta(minutes=10)
WARNING_FOR = timedelta(hours=24)


def href(base: str, *parts: str) -> str:
    """An absolute link, without a slash at its end."""
    return "/".join((base, *parts)).removesuffix("/")


def index(base: str) -> Document:
    return {
        "links": [
            _link(f"{base}/", "self"),
            _link(f"{base}/swagger#/info", "help"),
            _link(f"{base}/v1", f"{base}/swagger#!/info/v1"),
        ]
    }


def v1(base: str) -> Document:
    swagger = f"{base}/swagger"
    return {
        "links": [
            _link(f"{base}/v1", "self"),
            _link(f"{base}/", "up"),
            _link(f"{swagger}#!/info/v1", "help"),
            _link(f"{base}/health", f"{swagger}#!/info/health"),
            _link(f"{base}/v1/packs", f"{swagger}#!/pack/listPacks"),
            _link(f"{base}/v1/flows", f"{swagger}#!/flow/listFlows"),
            _link(f"{base}/v1/datastore", f"{swagger}#!/datastore/listDatastoreItems"),
            _link(f"{base}/v1/audit/flows", f"{swagger}#!/flowAudit/findFlows"),
            _link(f"{base}/v1/swagger", swagger),
        ]
    }


def pack(base: str, pack: RegisteredPack, now: datetime) -> Document:
    """The whole pack, its own links before flyte's."""
    this = href(base, "v1/packs", pack.sender.id)
    take = f"{base}/v1/packs/{pack.sender.id}/actions/take"
    take_rel = f"{base}/swagger#!/action/takeAction"
    commands = [
        {**command, "links": [_link(f"{take}?{_query(command['name'])}", take_rel)]}
        for command in pack.commands
    ]
    links = [
        *pack.links,
        _link(this, "self"),
        _link(f"{base}/v1/packs", "up"),
        _link(take, take_rel),
        _link(f"{base}/v1/packs/{pack.sender.id}/events", f"{base}/swagger#/event"),
    ]
    return (
        _sender(pack.sender)
        | _unless_empty("commands", commands)
        | _unless_empty("events", pack.events)
        | {"lastSeen": write_time(pack.last_seen), "links": links}
        | {"status": _status(pack, now)}
    )


def _query(command: str) -> str:
    # Encoded, unlike paths: an & would end the name, and the take would find nothing.
    return urlencode({"commandName": command})


def news(news: News) -> Document:
    """For which packs actions wait; older flytes do not know checks."""
    waiting = [{"packName": name, "packLabels": labels} for name, labels in news.waiting]
    return {"cursor": news.cursor, "waiting": waiting, "checks": True}


def packs(base: str, packs: Iterable[RegisteredPack], now: datetime) -> Document:
    return {
        "links": _list_links(base, "v1/packs", "pack"),
        "packs": [
            _sender(pack.sender)
            | {
                "lastSeen": write_time(pack.last_seen),
                "links": [_link(href(base, "v1/packs", pack.sender.id), "self")],
                "status": _status(pack, now),
            }
            for pack in packs
        ],
    }


def _status(pack: RegisteredPack, now: datetime) -> str:
    age = now - pack.last_seen
    return "live" if age < LIVE_FOR else "warning" if age < WARNING_FOR else "critical"


def flow(base: str, flow: Flow) -> Document:
    links = [
        _link(href(base, "v1/flows", flow.name), "self"),
        _link(f"{base}/v1/flows", "up"),
        _link(f"{base}/swagger#/flow", "help"),
    ]
    return flow_document(flow) | {"links": links}


def flows(base: str, flows: Iterable[Flow]) -> Document:
    return {
        "flows": [
            {"name": flow.name}
            | _unless_empty("description", flow.description)
            | {"links": [_link(href(base, "v1/flows", flow.name), "self")]}
            for flow in flows
        ],
        "links": _list_links(base, "v1/flows", "flow"),
    }


def taken(base: str, pack_id: str, action: TakenAction) -> Document:
    result = f"{base}/v1/packs/{pack_id}/actions/{action.id}/result"
    return {
        "command": action.name,
        "input": action.input,
        "links": [_link(result, f"{base}/swagger#/actionResult")],
    }


def items(base: str, items: Iterable[DataItem]) -> Document:
    return {
        "links": _list_links(base, "v1/datastore", "datastore"),
        "datastore": [
            {"key": item.key, "contentType": item.content_type}
            | _unless_empty("description", item.description)
            | {"links": [_link(href(base, "v1/datastore", item.key), "self")]}
            for item in items
        ],
    }


def executions(base: str, page: AuditPage, query: Mapping[str, str]) -> Document:
    """A page; a link ``next`` leads to the rest of the executions."""
    links = _list_links(base, "v1/audit/flows", "flowExecs")
    if page.next_start is not None:
        further = urlencode({**query, "start": str(page.next_start)})
        links.append(_link(f"{base}/v1/audit/flows?{further}", "next"))
    return {"flows": [execution(base, each) for each in page.executions], "links": links}


def execution(base: str, execution: AuditedExecution) -> Document:
    """An execution; ``skipped``, which Go does not have, only if a step was skipped."""
    return (
        {
            "name": execution.flow.name,
            "uuid": execution.flow_uuid,
            "correlationId": execution.correlation_id,
            "steps": [{"id": step.id} | step_document(step) for step in execution.flow.steps],
            "actions": {each.action.step_id: _action(each) for each in execution.actions},
        }
        | _unless_empty("skipped", [_skipped(step) for step in execution.skipped])
        | {"links": [_link(href(base, "v1/audit/flows", execution.correlation_id), "self")]}
    )


def decisions(
    base: str, kept: Iterable[KeptDecision], unheard: Iterable[tuple[UnheardEvent, str]]
) -> Document:
    """Steps that did not run, and events that no flow waits for, each with the nearest awaited."""
    return {
        "decisions": [_decision(each) for each in kept],
        "unheard": [
            {"event": _event(each.event), "time": _time(each.time)} | _unless_empty("nearest", near)
            for each, near in unheard
        ],
        "links": _list_links(base, "v1/audit/decisions", "flowExecs"),
    }


def _decision(kept: KeptDecision) -> Document:
    return (
        {"flow": kept.flow_name, "stepId": kept.step_id, "event": _event(kept.event)}
        | {"reason": kept.reason, "time": _time(kept.time)}
        | _unless_empty("correlationId", kept.correlation_id)
    )


def explained(execution_: AuditedExecution) -> Document:
    """An execution for people, with its declined steps."""
    declined = [_skipped(step) for step in execution_.declined]
    return execution("", execution_) | {"declined": declined}


def _action(audited: AuditedAction) -> Document:
    action = audited.action
    return (
        {"id": action.id, "name": action.name, "packName": action.pack_name}
        | _unless_empty("packLabels", action.pack_labels)
        | _unless_none("input", action.input)
        | {
            "state": _state(action.state),
            "states": [_state(state) for state in action.states],
            "correlationId": action.correlation_id,
            "flowName": action.flow_name,
            "flowUUID": action.flow_uuid,
            "stepId": action.step_id,
        }
        | _unless_empty("context", action.context)
        | {"trigger": _event(audited.trigger), "result": _event(audited.result)}
    )


def _skipped(step: AuditedSkip) -> Document:
    return {
        "stepId": step.step_id,
        "event": _event(step.event),
        "reason": step.reason,
        "time": _time(step.time),
    }


def _event(event: PackEvent | None) -> Document:
    if event is None:
        # What Go shows for a missing event.
        pack = {"id": "", "name": ""}
        return {"event": "", "pack": pack, "createdAt": ZERO_TIME, "receivedAt": ZERO_TIME}
    return (
        {"event": event.name, "pack": _sender(event.pack)}
        | _unless_none("payload", event.payload)
        | {"createdAt": _time(event.created_at), "receivedAt": _time(event.received_at)}
    )


def _sender(sender: PackIdentity) -> Document:
    return {"id": sender.id, "name": sender.name} | _unless_empty("labels", sender.labels)


def _state(state: ActionState) -> Document:
    return {"value": state.value, "time": _time(state.time)}


def _time(time: datetime) -> str:
    # Go's store keeps milliseconds.
    return write_time(time.replace(microsecond=time.microsecond // 1000 * 1000))


def _list_links(base: str, path: str, topic: str) -> list[Document]:
    return [
        _link(f"{base}/{path}", "self"),
        _link(f"{base}/v1", "up"),
        _link(f"{base}/swagger#/{topic}", "help"),
    ]


def _link(href: str, rel: str) -> Document:
    return {"href": href, "rel": rel}


def _unless_empty(key: str, value: Sequence[Any] | Mapping[str, Any]) -> Document:
    return {key: value} if value else {}


def _unless_none(key: str, value: Any) -> Document:
    return {} if value is None else {key: value}
