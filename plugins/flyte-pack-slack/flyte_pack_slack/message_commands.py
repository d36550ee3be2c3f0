"""The commands of the Go pack: SendMessage, SendRichMessage and GetChannelInfo.

Owns their payloads and texts, and the Go pack's quirks.
"""

from typing import Any

import msgspec

from flyte_host import Event, EventDef, fatal_event
from flyte_pack_slack.directory import Directory
from flyte_pack_slack.slack_api import SlackApi, SlackFailed, dumped
from flyte_pack_slack.slack_inputs import ChannelInput, MessageInput, RichMessageInput, read_input

MESSAGE_SENT = EventDef("MessageSent")
SEND_MESSAGE_FAILED = EventDef("SendMessageFailed")
RICH_MESSAGE_SENT = EventDef("RichMessageSent")
SEND_RICH_MESSAGE_FAILED = EventDef("SendRichMessageFailed")
GET_CHANNEL_INFO_SUCCESS = EventDef("GetChannelInfoSuccess")
GET_CHANNEL_INFO_FAIL = EventDef("GetChannelInfoFail")

_NO_CHANNEL = "can't find channel with such name"


class MessageCommands:
    """Handlers that the Go pack has too."""

    def __init__(self, api: SlackApi, directory: Directory, *, go_compatible: bool) -> None:
        self._api = api
        self._directory = directory
        self._go_compatible = go_compatible

    def send_message(self, input: Any) -> Event:
        try:
            wanted = read_input(MessageInput, input)
        except msgspec.ValidationError as cause:
            return self._unreadable(SEND_MESSAGE_FAILED, f"input is not valid: {cause}", input)
        missing = []
        if not wanted.message:
            missing.append("missing message field")
        if not wanted.channel_id:
            missing.append("missing channel id field")
        if missing:
            return SEND_MESSAGE_FAILED(self._told(wanted) | {"error": ", ".join(missing)})
        body = {"channel": wanted.channel_id, "text": wanted.message}
        if wanted.thread_timestamp:
            body["thread_ts"] = wanted.thread_timestamp
        try:
            sent = self._api.call("chat.postMessage", body)
        except SlackFailed as cause:
            return SEND_MESSAGE_FAILED(self._told(wanted) | {"error": str(cause)})
        return MESSAGE_SENT(self._told(wanted) | {"timestamp": sent.get("ts", "")})

    def send_rich_message(self, input: Any) -> Event:
        try:
            wanted = read_input(RichMessageInput, input)
        except msgspec.ValidationError as cause:
            return self._unreadable(SEND_RICH_MESSAGE_FAILED, f"invalid input: {cause}", input)
        given = {key.casefold() for key, value in (input or {}).items() if value is not None}
        try:
            sent = self._api.call("chat.postMessage", self._body(wanted, given))
        except SlackFailed as cause:
            told = wanted.payload()
            error = f"cannot send rich message={dumped(told)}: {cause}"
            return SEND_RICH_MESSAGE_FAILED({"inputMessage": told, "error": error})
        channel, timestamp = sent.get("channel", ""), sent.get("ts", "")
        if self._go_compatible:
            return RICH_MESSAGE_SENT({"channelId": channel, "threadTimestamp": timestamp})
        thread = wanted.thread_ts or timestamp
        payload = {"channelId": channel, "threadTimestamp": thread, "timestamp": timestamp}
        return RICH_MESSAGE_SENT(payload)

    def get_channel_info(self, input: Any) -> Event:
        try:
            name = read_input(ChannelInput, input).channel_name
        except msgspec.ValidationError as cause:
            return GET_CHANNEL_INFO_FAIL({"channelName": "", "reason": str(cause)})
        try:
            looked_for = name if self._go_compatible else name.removeprefix("#")
            conversation = self._directory.channel(looked_for)
        except SlackFailed as cause:
            return GET_CHANNEL_INFO_FAIL({"channelName": name, "reason": str(cause)})
        if conversation is None:
            return GET_CHANNEL_INFO_FAIL({"channelName": name, "reason": _NO_CHANNEL})
        return GET_CHANNEL_INFO_SUCCESS({"channelName": name, "conversation": conversation})

    def _told(self, wanted: MessageInput) -> dict[str, str]:
        """The Go pack never names the thread, though its README says so."""
        thread = "" if self._go_compatible else wanted.thread_timestamp
        return {
            "message": wanted.message,
            "threadTimestamp": thread,
            "channelId": wanted.channel_id,
        }

    def _body(self, wanted: RichMessageInput, given: set[str]) -> dict[str, Any]:
        """The message for Slack; Slack's defaults apply to what was not given.

        The Go pack's library had other defaults: no formatting, no previews.
        """
        body: dict[str, Any] = {"channel": wanted.channel, "text": wanted.text}
        texts = ("parse", "thread_ts", "username", "icon_url", "icon_emoji")
        body |= {key: getattr(wanted, key) for key in texts if getattr(wanted, key)}
        if wanted.link_names:
            body["link_names"] = True
        if wanted.reply_broadcast:
            body["reply_broadcast"] = True
        for key in ("attachments", "blocks"):
            if getattr(wanted, key) is not None:
                body[key] = getattr(wanted, key)
        if wanted.escape_text:
            body["text"] = _escaped(wanted.text)
        for key in ("mrkdwn", "unfurl_links", "unfurl_media"):
            if self._go_compatible or key in given:
                body[key] = getattr(wanted, key)
        return body

    def _unreadable(self, failure: EventDef, told: str, input: Any) -> Event:
        if self._go_compatible:
            return fatal_event(told)
        return failure({"input": input, "error": told})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
