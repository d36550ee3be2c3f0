"""Turns what Slack sends over its socket into the pack's events.

Owns their payloads, and which messages are our own. Must not know the socket.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flyte_pack_kit import number_at, object_at, text_at

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
                yield from self._from_event(object_at(payload, "event"), identity)
            case "slash_commands":
                yield SLASH_COMMAND(self._command(payload))
            case "interactive" if payload.get("type") == "block_actions":
                for action in payload.get("actions") or []:
                    yield BUTTON_PRESSED(self._pressed(payload, action))

    def _from_event(self, event: dict[str, Any], identity: SlackIdentity) -> Iterator[Event]:
        if identity.wrote(event) and not self._settings.own_messages:
            return
        match event.get("type"):
            case "message" if text_at(event, "user"):
                yield RECEIVED_MESSAGE(self._message(event, self._user(text_at(event, "user"))))
            case "message" if self._is_of_a_bot(event):
                bot = {"id": text_at(event, "bot_id"), "name": text_at(event, "username")}
                yield RECEIVED_MESSAGE(self._message(event, user_payload(bot)))
            case "reaction_added":
                yield REACTION_ADDED(self._reaction(event))

    def _is_of_a_bot(self, event: dict[str, Any]) -> bool:
        """The Go pack drops messages of bots that are not users."""
        is_message = event.get("subtype") == "bot_message"
        return is_message and not self._settings.go_compatible

    def _message(self, event: dict[str, Any], user: dict[str, str]) -> dict[str, Any]:
        timestamp = text_at(event, "ts")
        replies = event.get("replies")
        return {
            "channelId": text_at(event, "channel"),
            "user": user,
            "message": text_at(event, "text"),
            "timestamp": timestamp,
            "threadTimestamp": text_at(event, "thread_ts") or timestamp,
            "replyCount": number_at(event, "reply_count"),
            "replies": replies if isinstance(replies, list) and replies else None,
        }

    def _reaction(self, event: dict[str, Any]) -> dict[str, Any]:
        item = object_at(event, "item")
        told = {
            "type": text_at(item, "type"),
            "timestamp": text_at(item, "ts"),
            "channel": text_at(item, "channel"),
        }
        if text_at(item, "file") and not self._settings.go_compatible:
            told["file"] = text_at(item, "file")
        return {
            "type": text_at(event, "type"),
            "user": self._user(text_at(event, "user")),
            "itemUser": self._user(text_at(event, "item_user")),
            "item": told,
            "reaction": text_at(event, "reaction"),
            "eventTimestamp": text_at(event, "event_ts"),
        }

    def _command(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Without ``response_url`` and ``trigger_id``, which let others answer for us."""
        return {
            "command": text_at(payload, "command"),
            "text": text_at(payload, "text"),
            "channelId": text_at(payload, "channel_id"),
            "channelName": text_at(payload, "channel_name"),
            "user": self._user(text_at(payload, "user_id")),
        }

    def _pressed(self, payload: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
        message = object_at(payload, "message")
        timestamp = text_at(message, "ts")
        return {
            "actionId": text_at(action, "action_id"),
            "blockId": text_at(action, "block_id"),
            "value": text_at(action, "value") or text_at(action, "selected_option", "value"),
            "channelId": text_at(payload, "channel", "id"),
            "user": self._user(text_at(payload, "user", "id")),
            "messageTimestamp": timestamp,
            "threadTimestamp": text_at(message, "thread_ts") or timestamp,
        }

    def _user(self, user_id: str) -> dict[str, str]:
        return self._directory.user(user_id) if user_id else user_payload({})
