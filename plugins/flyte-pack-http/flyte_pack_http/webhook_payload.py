"""The payloads of webhooks' events, for each kind of sender, in the words of flows.

Owns the payloads. What a sender leaves out is empty here, so a flow need not ask whether it is
there; the whole document is in ``body``.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from flyte_pack_kit import parse_json

from flyte_pack_http.webhook_request import WebhookRequest, decode_object


class GitHubPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``GitHubWebhook``. The number, title and URL are those of an issue or pull request."""

    hook: str
    delivery: str
    event: str
    action: str
    repository: str
    ref: str
    sender: str
    number: int
    title: str
    url: str
    body: dict[str, Any]


class GitLabPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``GitLabWebhook``. The number, title and URL are those of an issue or merge request."""

    hook: str
    delivery: str
    event: str
    action: str
    project: str
    ref: str
    user: str
    number: int
    title: str
    url: str
    body: dict[str, Any]


class JiraPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``JiraWebhook``."""

    hook: str
    delivery: str
    event: str
    issue: str
    project: str
    summary: str
    status: str
    user: str
    body: dict[str, Any]


class SlackPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``SlackWebhook``: an event, a slash command or something that was clicked."""

    hook: str
    kind: str
    event: str
    team: str
    channel: str
    user: str
    text: str
    body: dict[str, Any]


class AlertPayload(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a notification."""

    status: str
    labels: dict[str, Any]
    annotations: dict[str, Any]
    starts_at: str
    ends_at: str
    fingerprint: str
    url: str


class AlertmanagerPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``AlertmanagerWebhook``: a notification about a group of alerts."""

    hook: str
    status: str
    receiver: str
    group_key: str
    labels: dict[str, Any]
    annotations: dict[str, Any]
    alerts: list[AlertPayload]
    url: str
    truncated_alerts: int


class WebhookPayload(msgspec.Struct, frozen=True, rename="camel"):
    """``Webhook``: from a sender that we know nothing about."""

    hook: str
    content_type: str
    query: str
    text: str
    body: Any


def payload_of(kind: str, hook: str, request: WebhookRequest) -> msgspec.Struct:
    """The payload for this request; raises WebhookRefused for another kind of request."""
    return _MAKE.get(kind, _generic)(hook, request)


EVENT_NAMES = {
    "github": "GitHubWebhook",
    "gitlab": "GitLabWebhook",
    "jira": "JiraWebhook",
    "slack": "SlackWebhook",
    "alertmanager": "AlertmanagerWebhook",
}
"""The events of the kinds; all others raise ``Webhook``."""


def _github(hook: str, request: WebhookRequest) -> GitHubPayload:
    body = request.document()
    about = _object(body, "issue") or _object(body, "pull_request")
    return GitHubPayload(
        hook,
        request.header("X-GitHub-Delivery"),
        request.header("X-GitHub-Event"),
        _text(body, "action"),
        _text(body, "repository", "full_name"),
        _text(body, "ref"),
        _text(body, "sender", "login"),
        _number(about, "number"),
        _text(about, "title"),
        _text(about, "html_url"),
        body,
    )


def _gitlab(hook: str, request: WebhookRequest) -> GitLabPayload:
    body = request.document()
    about = _object(body, "object_attributes")
    return GitLabPayload(
        hook,
        request.header("X-Gitlab-Event-UUID"),
        _text(body, "object_kind") or _text(body, "event_name"),
        _text(about, "action"),
        _text(body, "project", "path_with_namespace"),
        _text(body, "ref") or _text(about, "ref"),
        _text(body, "user", "username") or _text(body, "user_username"),
        _number(about, "iid"),
        _text(about, "title"),
        _text(about, "url"),
        body,
    )


def _jira(hook: str, request: WebhookRequest) -> JiraPayload:
    body = request.document()
    fields = _object(body, "issue", "fields")
    return JiraPayload(
        hook,
        request.header("X-Atlassian-Webhook-Identifier"),
        _text(body, "webhookEvent"),
        _text(body, "issue", "key"),
        _text(fields, "project", "key"),
        _text(fields, "summary"),
        _text(fields, "status", "name"),
        _text(body, "user", "displayName"),
        body,
    )


def _slack(hook: str, request: WebhookRequest) -> SlackPayload:
    if request.content_type != "application/x-www-form-urlencoded":
        return _slack_event(hook, request.document())
    form = request.form()
    if "payload" in form:
        return _slack_interaction(hook, decode_object(form["payload"].encode()))
    # It answers in the name of the app: not for everybody who may read events.
    body: dict[str, Any] = {key: form[key] for key in form if key not in _SLACK_SECRETS}
    return SlackPayload(
        hook,
        "slash_command",
        _text(body, "command"),
        _text(body, "team_id"),
        _text(body, "channel_id"),
        _text(body, "user_id"),
        _text(body, "text"),
        body,
    )


_SLACK_SECRETS = {"token", "response_url", "response_urls"}


def _slack_event(hook: str, document: dict[str, Any]) -> SlackPayload:
    body = {key: document[key] for key in document if key not in _SLACK_SECRETS}
    event = _object(body, "event")
    return SlackPayload(
        hook,
        _text(body, "type"),
        _text(event, "type"),
        _text(body, "team_id"),
        _text(event, "channel") or _text(event, "item", "channel"),
        _text(event, "user"),
        _text(event, "text"),
        body,
    )


def _slack_interaction(hook: str, document: dict[str, Any]) -> SlackPayload:
    body = {key: document[key] for key in document if key not in _SLACK_SECRETS}
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else {}
    return SlackPayload(
        hook,
        _text(body, "type"),
        _text(first, "action_id") or _text(body, "callback_id"),
        _text(body, "team", "id"),
        _text(body, "channel", "id"),
        _text(body, "user", "id"),
        _text(first, "value"),
        body,
    )


def _alertmanager(hook: str, request: WebhookRequest) -> AlertmanagerPayload:
    body = request.document()
    alerts = body.get("alerts")
    return AlertmanagerPayload(
        hook,
        _text(body, "status"),
        _text(body, "receiver"),
        _text(body, "groupKey"),
        _object(body, "commonLabels"),
        _object(body, "commonAnnotations"),
        [_alert(each) for each in alerts] if isinstance(alerts, list) else [],
        _text(body, "externalURL"),
        _number(body, "truncatedAlerts"),
    )


def _alert(alert: Any) -> AlertPayload:
    return AlertPayload(
        _text(alert, "status"),
        _object(alert, "labels"),
        _object(alert, "annotations"),
        _text(alert, "startsAt"),
        _text(alert, "endsAt"),
        _text(alert, "fingerprint"),
        _text(alert, "generatorURL"),
    )


def _generic(hook: str, request: WebhookRequest) -> WebhookPayload:
    body: Any = None
    if request.content_type == "application/x-www-form-urlencoded":
        body = request.form()
    elif request.content_type == "application/json" or request.content_type.endswith("+json"):
        with suppress(ValueError):
            body = parse_json(request.body)
    text = request.body.decode("utf-8", "replace")
    return WebhookPayload(hook, request.content_type, request.query, text, body)


_MAKE: dict[str, Callable[[str, WebhookRequest], msgspec.Struct]] = {
    "github": _github,
    "gitlab": _gitlab,
    "jira": _jira,
    "slack": _slack,
    "alertmanager": _alertmanager,
}


def _find(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(document: Any, *path: str) -> str:
    found = _find(document, *path)
    return found if isinstance(found, str) else ""


def _number(document: Any, *path: str) -> int:
    found = _find(document, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _object(document: Any, *path: str) -> dict[str, Any]:
    found = _find(document, *path)
    return found if isinstance(found, dict) else {}
