"""The payloads of webhooks' events, for each kind of sender, in the words of flows.

Owns the payloads. What a sender leaves out is empty here, so a flow need not ask whether it is
there; the whole document is in ``body``.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from flyte_pack_kit import number_at, object_at, parse_json, text_at

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
    about = object_at(body, "issue") or object_at(body, "pull_request")
    return GitHubPayload(
        hook,
        request.header("X-GitHub-Delivery"),
        request.header("X-GitHub-Event"),
        text_at(body, "action"),
        text_at(body, "repository", "full_name"),
        text_at(body, "ref"),
        text_at(body, "sender", "login"),
        number_at(about, "number"),
        text_at(about, "title"),
        text_at(about, "html_url"),
        body,
    )


def _gitlab(hook: str, request: WebhookRequest) -> GitLabPayload:
    body = request.document()
    about = object_at(body, "object_attributes")
    return GitLabPayload(
        hook,
        request.header("X-Gitlab-Event-UUID"),
        text_at(body, "object_kind") or text_at(body, "event_name"),
        text_at(about, "action"),
        text_at(body, "project", "path_with_namespace"),
        text_at(body, "ref") or text_at(about, "ref"),
        text_at(body, "user", "username") or text_at(body, "user_username"),
        number_at(about, "iid"),
        text_at(about, "title"),
        text_at(about, "url"),
        body,
    )


def _jira(hook: str, request: WebhookRequest) -> JiraPayload:
    body = request.document()
    fields = object_at(body, "issue", "fields")
    return JiraPayload(
        hook,
        request.header("X-Atlassian-Webhook-Identifier"),
        text_at(body, "webhookEvent"),
        text_at(body, "issue", "key"),
        text_at(fields, "project", "key"),
        text_at(fields, "summary"),
        text_at(fields, "status", "name"),
        text_at(body, "user", "displayName"),
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
        text_at(body, "command"),
        text_at(body, "team_id"),
        text_at(body, "channel_id"),
        text_at(body, "user_id"),
        text_at(body, "text"),
        body,
    )


_SLACK_SECRETS = {"token", "response_url", "response_urls"}


def _slack_event(hook: str, document: dict[str, Any]) -> SlackPayload:
    body = {key: document[key] for key in document if key not in _SLACK_SECRETS}
    event = object_at(body, "event")
    return SlackPayload(
        hook,
        text_at(body, "type"),
        text_at(event, "type"),
        text_at(body, "team_id"),
        text_at(event, "channel") or text_at(event, "item", "channel"),
        text_at(event, "user"),
        text_at(event, "text"),
        body,
    )


def _slack_interaction(hook: str, document: dict[str, Any]) -> SlackPayload:
    body = {key: document[key] for key in document if key not in _SLACK_SECRETS}
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions else {}
    return SlackPayload(
        hook,
        text_at(body, "type"),
        text_at(first, "action_id") or text_at(body, "callback_id"),
        text_at(body, "team", "id"),
        text_at(body, "channel", "id"),
        text_at(body, "user", "id"),
        text_at(first, "value"),
        body,
    )


def _alertmanager(hook: str, request: WebhookRequest) -> AlertmanagerPayload:
    body = request.document()
    alerts = body.get("alerts")
    return AlertmanagerPayload(
        hook,
        text_at(body, "status"),
        text_at(body, "receiver"),
        text_at(body, "groupKey"),
        object_at(body, "commonLabels"),
        object_at(body, "commonAnnotations"),
        [_alert(each) for each in alerts] if isinstance(alerts, list) else [],
        text_at(body, "externalURL"),
        number_at(body, "truncatedAlerts"),
    )


def _alert(alert: Any) -> AlertPayload:
    return AlertPayload(
        text_at(alert, "status"),
        object_at(alert, "labels"),
        object_at(alert, "annotations"),
        text_at(alert, "startsAt"),
        text_at(alert, "endsAt"),
        text_at(alert, "fingerprint"),
        text_at(alert, "generatorURL"),
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
