"""Turns what Slack sends over its socket into the pack's events.

Owns their payloads, and which messages are our own. Must not know the socket.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flyte_host import Event, EventDef
from flyte_pack_slack.directory import Directory, user_payload
from flyte_pack_slack.settings import SlackSettings

RECEIVED_MESSAGE = EventDef("ReceivedMessage")
REACTION_ADDED = EventDef("ReactionAdded")
SLASH_COMMAND = EventDef("SlashCommand")
BUTTON_PRESSED = EventDef("ButtonPressed")

EVENTS = (RECEIVED_MESSAGE, REACTION_ADDED, SLASH_COMMAND, BUTTON_PRESSED)


@dataclass(frozen=True, slots=True)
class SlackIdentity:
    """Who the pack is in Slack."""

    user_id: str = ""
    bot_id: str = ""

    def wrote(self, event: dict[str, Any]) -> bool:
        """Whether an event is about something that the pack itself did."""
        is_ours = bool(self.user_id) and event.get("user") == self.user_id
        return is_ours or (bool(self.bot_id) and event.get("bot_id") == self.bot_id)


class SlackTranslator:
    """Makes events of envelopes."""

    def __init__(self, directory: Directory, settings: SlackSettings) -> None:
        self._directory = directory
        self._settings = settings

    def events(
        self, kind: str, payload: dict[str, Any], identity: SlackIdentity
    ) -> Iterator[Event]:
        """The events of an envelope of this type; may be none."""
        match kind:
            case "events_api":
                yield from self._from_event(_object(payload, "event"), identity)
            case "slash_commands":
                yield SLASH_COMMAND(self._command(payload))
            case "interactive" if payload.get("type") == "block_actions":
                for action in payload.get("actions") or []:
                    yield BUTTON_PRESSED(self._pressed(payload, action))

    def _from_event(self, event: dict[str, Any], identity: SlackIdentity) -> Iterator[Event]:
        if identity.wrote(event) and not self._settings.own_messages:
            return
        match event.get("type"):
            case "message" if _text(event, "user"):
                yield RECEIVED_MESSAGE(self._message(event, self._user(_text(event, "user"))))
            case "message" if self._is_of_a_bot(event):
                bot = {"id": _text(event, "bot_id"), "name": _text(event, "username")}
                yield RECEIVED_MESSAGE(self._message(event, user_payload(bot)))
            case "reaction_added":
                yield REACTION_ADDED(self._reaction(event))

    def _is_of_a_bot(self, event: dict[str, Any]) -> bool:
        """The Go pack drops messages of bots that are not users."""
        is_message = event.get("subtype") == "bot_message"
        return is_message and not self._settings.go_compatible

    def _message(self, event: dict[str, Any], user: dict[str, str]) -> dict[str, Any]:
        timestamp = _text(event, "ts")
        replies = event.get("replies")
        count = event.get("reply_count")
        return {
            "channelId": _text(event, "channel"),
            "user": user,
            "message": _text(event, "text"),
            "timestamp": timestamp,
            "threadTimestamp": _text(event, "thread_ts") or timestamp,
            "replyCount": count if isinstance(count, int) else 0,
            "replies": replies if isinstance(replies, list) and replies else None,
        }

    def _reaction(self, event: dict[str, Any]) -> dict[str, Any]:
        item = _object(event, "item")
        told = {
            "type": _text(item, "type"),
            "timestamp": _text(item, "ts"),
            "channel": _text(item, "channel"),
        }
        if _text(item, "file") and not self._settings.go_compatible:
            told["file"] = _text(item, "file")
        return {
            "type": _text(event, "type"),
            "user": self._user(_text(event, "user")),
            "itemUser": self._user(_text(event, "item_user")),
            "item": told,
            "reaction": _text(event, "reaction"),
            "eventTimestamp": _text(event, "event_ts"),
        }

    def _command(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Without ``response_url`` and ``trigger_id``, which let others answer for us."""
        return {
            "command": _text(payload, "command"),
            "text": _text(payload, "text"),
            "channelId": _text(payload, "channel_id"),
            "channelName": _text(payload, "channel_name"),
            "user": self._user(_text(payload, "user_id")),
        }

    def _pressed(self, payload: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
        message = _object(payload, "message")
        timestamp = _text(message, "ts")
        option = _object(action, "selected_option")
        return {
            "actionId": _text(action, "action_id"),
            "blockId": _text(action, "block_id"),
            "value": _text(action, "value") or _text(option, "value"),
            "channelId": _text(_object(payload, "channel"), "id"),
            "user": self._user(_text(_object(payload, "user"), "id")),
            "messageTimestamp": timestamp,
            "threadTimestamp": _text(message, "thread_ts") or timestamp,
        }

    def _user(self, user_id: str) -> dict[str, str]:
        return self._directory.user(user_id) if user_id else user_payload({})


def _object(found: dict[str, Any], key: str) -> dict[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
