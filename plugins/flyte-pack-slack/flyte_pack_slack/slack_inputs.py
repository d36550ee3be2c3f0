"""The inputs of the pack's commands, read by the rules of the Go pack.

Owns their keys. Must not know Slack's API.
"""

import base64
from typing import Any, TypeVar

import msgspec
from flyte_pack_kit import match_keys

T = TypeVar("T", bound=msgspec.Struct)


class MessageInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of SendMessage; every key may be missing, as in the Go pack."""

    message: str = ""
    thread_timestamp: str = ""
    channel_id: str = ""


class RichMessageInput(msgspec.Struct, frozen=True):
    """The input of SendRichMessage, in Slack's own words; ``blocks`` is an addition."""

    parse: str = ""
    thread_ts: str = ""
    reply_broadcast: bool = False
    link_names: int = 0
    attachments: list[Any] | None = None
    unfurl_links: bool = False
    unfurl_media: bool = False
    username: str = ""
    icon_url: str = ""
    icon_emoji: str = ""
    mrkdwn: bool = False
    escape_text: bool = False
    channel: str = ""
    text: str = ""
    blocks: list[Any] | None = None

    def payload(self) -> dict[str, Any]:
        """As the Go pack repeats it in its failure."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        omitted = {"mrkdwn": self.mrkdwn, "blocks": self.blocks}
        return {key: value for key, value in told.items() if omitted.get(key, True)}


class ChannelInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of GetChannelInfo."""

    channel_name: str = ""


class EphemeralInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of SendEphemeralMessage."""

    channel_id: str
    user_id: str
    message: str = ""
    thread_timestamp: str = ""
    blocks: list[Any] | None = None


class ReactionInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of SendReaction."""

    channel_id: str
    timestamp: str
    reaction: str


class FileInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of SendFile: the content as text or as base64."""

    channel_id: str
    name: str
    content: str = ""
    content_base64: str = ""
    title: str = ""
    message: str = ""
    thread_timestamp: str = ""

    def decoded(self) -> bytes:
        """The file's bytes; raises ValueError."""
        if not self.content_base64:
            return self.content.encode()
        try:
            return base64.b64decode("".join(self.content_base64.split()), validate=True)
        except ValueError:
            raise ValueError("contentBase64 is not base64") from None

    def payload(self) -> dict[str, str]:
        """What events say about it: everything but its content."""
        return {
            "channelId": self.channel_id,
            "name": self.name,
            "title": self.title,
            "message": self.message,
            "threadTimestamp": self.thread_timestamp,
        }


def read_input(wanted: type[T], document: Any) -> T:
    """The input by Go's rules: keys in any case, ``null`` is nothing given, no conversions.

    Raises ``msgspec.ValidationError``.
    """
    return msgspec.convert(match_keys(wanted, document), wanted)


# msgspec crashes if two threads are the first to use a type: use each one now.
for _kind in (
    MessageInput, RichMessageInput, ChannelInput, EphemeralInput, ReactionInput, FileInput,
):  # fmt: skip
    msgspec.json.Decoder(_kind)
