"""Users and channels by their ids and names in Slack, cached for a while.

Owns when to ask Slack again. Must not know commands or events.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from flyte_pack_kit import object_at, text_at

from flyte_pack_slack.settings import SlackSettings
from flyte_pack_slack.slack_api import SlackApi, SlackFailed

log = logging.getLogger(__name__)

_USERS = 10_000
_MISS_SECONDS = 60.0
"""How soon to ask again for the list of channels because a channel was not in it."""

_USER_LIMIT_SECONDS = 3.0
"""Slack sends an event again if it is not acknowledged in three seconds."""

_PAGE = 1000


class Directory:
    """Looks users and channels up; safe to use from any thread."""

    def __init__(
        self, api: SlackApi, settings: SlackSettings, monotonic: Callable[[], float]
    ) -> None:
        self._api = api
        self._settings = settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._users: dict[str, tuple[float, dict[str, str]]] = {}
        self._channels: dict[str, dict[str, str]] = {}
        self._channels_at = float("-inf")

    def user(self, user_id: str) -> dict[str, str]:
        """What events say about a user; only the id if Slack does not say more."""
        now = self._monotonic()
        kept = self._users.get(user_id)
        if kept is not None and now < kept[0]:
            return kept[1]
        try:
            found = self._api.call(
                "users.info", params={"user": user_id}, limit_seconds=_USER_LIMIT_SECONDS
            )
        except SlackFailed as cause:
            log.warning("cannot look up the user %s: %s", user_id, cause)
            return user_payload({"id": user_id})
        payload = user_payload({"id": user_id, **object_at(found, "user")})
        if len(self._users) >= _USERS:
            self._users.clear()
        self._users[user_id] = (now + self._settings.user_cache_seconds, payload)
        return payload

    def channel(self, name: str) -> dict[str, str] | None:
        """Id, name and topic of a channel, None if there is none; raises SlackFailed."""
        with self._lock:  # one list for everybody who waits for it
            age = self._monotonic() - self._channels_at
            is_old = age >= self._settings.channel_cache_hours * 3600
            if is_old or (name not in self._channels and age >= _MISS_SECONDS):
                self._refresh(is_old=is_old)
            return self._channels.get(name)

    def _refresh(self, *, is_old: bool) -> None:
        try:
            self._channels = self._list()
        except SlackFailed as cause:
            if is_old and not self._channels:
                raise
            log.warning("cannot renew the list of channels, the old one is used: %s", cause)
        self._channels_at = self._monotonic()

    def _list(self) -> dict[str, dict[str, str]]:
        types = "public_channel"
        if self._settings.private_channels:
            types += ",private_channel"
        asked = {"exclude_archived": "true", "limit": str(_PAGE), "types": types}
        found: dict[str, dict[str, str]] = {}
        cursor, followed = "", set()
        while cursor not in followed:
            followed.add(cursor)
            page = self._api.call("conversations.list", params=asked | {"cursor": cursor})
            for each in _objects(page, "channels"):
                found[text_at(each, "name")] = _conversation(each)
            cursor = text_at(page, "response_metadata", "next_cursor")
            if not cursor:
                break
        return found


def user_payload(user: dict[str, Any]) -> dict[str, str]:
    """A user as the Go pack's events have it."""
    profile = object_at(user, "profile")
    return {
        "id": text_at(user, "id"),
        "name": text_at(user, "name"),
        "email": text_at(profile, "email"),
        "title": text_at(profile, "title"),
        "firstName": text_at(profile, "first_name"),
        "lastName": text_at(profile, "last_name"),
    }


def _conversation(channel: dict[str, Any]) -> dict[str, str]:
    return {
        "id": text_at(channel, "id"),
        "name": text_at(channel, "name"),
        "topic": text_at(channel, "topic", "value"),
    }


def _objects(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = found.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
