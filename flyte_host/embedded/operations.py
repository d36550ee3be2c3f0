"""The operations of the API: the table behind the routes, the OpenAPI document and the docs.

Owns what can be called and what the answers mean. Must not know how the operations work.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_UNKNOWN = "what the path names does not exist"
_BAD = "the body cannot be used; the answer says why"


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path; ``name`` is the operation id, ``query`` maps parameters to meanings."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answers: Mapping[int, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def parameters(self) -> list[str]:
        """The names of the path's parameters."""
        return re.findall(r"{(\w+)}", self.path)


_AUDIT_QUERY = {
    "flowName": "executions of this flow",
    "stepId": "with an action (or a skipped step) of this step",
    "actionName": "with an action of this command",
    "actionPackName": "with an action for this pack",
    "actionPackLabels": "with an action for these labels: `key:value,key:value`",
    "start": "how many to leave out, default 0",
    "limit": "how many at most, default 50; a link `next` leads to the rest",
}

OPERATIONS = (
    Operation("GET", "/", "index", "info", "Links to the versions of the API", {200: "links"}),
    Operation(
        "GET",
        "/health",
        "health",
        "info",
        "Whether the store can be read",
        {200: "it can, no body", 500: "it cannot"},
    ),
    Operation("GET", "/swagger", "page", "info", "This list as a page", {200: "HTML"}),
    Operation(
        "GET", "/v1", "v1", "info", "Links to everything: where clients start", {200: "links"}
    ),
    Operation("GET", "/v1/swagger", "swagger", "info", "This document", {200: "OpenAPI 3.1"}),
    Operation(
        "POST",
        "/v1/packs",
        "register_pack",
        "pack",
        "Register a pack, or register it again",
        {
            201: "the pack with its links, `Location`",
            400: f"{_BAD}; a link rel that is flyte's own",
        },
        body="`{name, labels, commands: [{name, events, links}], events: [{name, links}], links}`",
    ),
    Operation(
        "GET",
        "/v1/packs",
        "list_packs",
        "pack",
        "All packs, by name",
        {200: "id, name, labels, lastSeen, status of each"},
    ),
    Operation(
        "GET",
        "/v1/packs/{packId}",
        "get_pack",
        "pack",
        "One pack",
        {200: "the pack with its links", 404: _UNKNOWN},
    ),
    Operation(
        "DELETE",
        "/v1/packs/{packId}",
        "delete_pack",
        "pack",
        "Forget a pack",
        {204: "done", 404: _UNKNOWN},
    ),
    Operation(
        "POST",
        "/v1/packs/{packId}/events",
        "post_event",
        "event",
        "Say that something happened",
        {202: "kept, and all actions that flows made of it", 400: _BAD, 404: _UNKNOWN},
        body="`{event, payload, createdAt}`",
    ),
    Operation(
        "POST",
        "/v1/packs/{packId}/actions/take",
        "take_action",
        "action",
        "Take the oldest waiting action: it is given out once, never twice",
        {200: "the action", 204: "none waits", 404: _UNKNOWN},
        query={"actionName": "only of this command", "commandName": "the same"},
    ),
    Operation(
        "POST",
        "/v1/waiting",
        "wait_for_actions",
        "action",
        "Wait until actions wait for one of these packs: a host keeps one such request open",
        {
            200: "`{cursor, waiting: [{packName, packLabels}], checks}`; nothing after `seconds`",
            400: _BAD,
        },
        body="`{packs: [{name, labels}], cursor, seconds, check}`, the cursor of the answer "
        "before; `check`: the packs are alive, list all that wait or are not registered",
    ),
    Operation(
        "POST",
        "/v1/packs/{packId}/actions/{actionId}/result",
        "post_result",
        "action",
        "Finish an action: FATAL if the event has that name, else SUCCESS",
        {
            202: "kept, and all actions that flows made of it",
            400: _BAD,
            404: f"{_UNKNOWN}, or the action is another pack's",
            500: "the action was not taken, or is finished already",
        },
        body="`{event, payload, createdAt}`",
    ),
    Operation(
        "POST",
        "/v1/flows",
        "put_flow",
        "flow",
        "Store a flow, or a new version of it",
        {201: "stored, `Location`", 400: "not a flow; the answer has all problems"},
        body="`{name, description, steps: [{id, dependsOn, event, context, criteria, command}]}`",
    ),
    Operation(
        "GET",
        "/v1/flows",
        "list_flows",
        "flow",
        "All flows, by name",
        {200: "name and description of each"},
    ),
    Operation(
        "GET",
        "/v1/flows/{flowName}",
        "get_flow",
        "flow",
        "One flow",
        {200: "the flow", 404: _UNKNOWN},
    ),
    Operation(
        "DELETE",
        "/v1/flows/{flowName}",
        "delete_flow",
        "flow",
        "Forget a flow; running executions continue",
        {204: "done", 404: _UNKNOWN},
    ),
    Operation(
        "GET",
        "/v1/datastore",
        "list_items",
        "datastore",
        "All items, by key",
        {200: "key, content type, description of each"},
    ),
    Operation(
        "GET",
        "/v1/datastore/{key}",
        "get_item",
        "datastore",
        "One item's value",
        {200: "the value with its content type", 404: _UNKNOWN},
    ),
    Operation(
        "PUT",
        "/v1/datastore/{key}",
        "put_item",
        "datastore",
        "Store or replace an item",
        {201: "new", 204: "replaced", 400: "no file `value`, or empty"},
        body="multipart/form-data: file `value`, field `description`",
    ),
    Operation(
        "DELETE",
        "/v1/datastore/{key}",
        "delete_item",
        "datastore",
        "Forget an item",
        {204: "done", 404: _UNKNOWN},
    ),
    Operation(
        "GET",
        "/v1/audit/flows",
        "list_executions",
        "flowExecs",
        "What flows did, most recently changed first",
        {
            200: "executions with their actions and skipped steps",
            400: "start or limit is not a number",
        },
        query=_AUDIT_QUERY,
    ),
    Operation(
        "GET",
        "/v1/audit/flows/{correlationId}",
        "get_execution",
        "flowExecs",
        "One execution",
        {200: "the execution", 404: _UNKNOWN},
    ),
    Operation(
        "GET",
        "/v1/audit/decisions",
        "list_decisions",
        "flowExecs",
        "What had no effect since the start: steps that did not run, events that no flow waits for",
        {200: "the last 50 decisions of each flow with their reasons, the last 200 such events"},
        query={"flowName": "decisions of this flow"},
    ),
)
