"""The commands that the Go pack lacks: SendEphemeralMessage, SendReaction and SendFile.

Owns their payloads.
"""

from typing import Any

import msgspec

from flyte_host import Event, EventDef
from flyte_pack_slack.slack_api import SlackApi, SlackFailed
from flyte_pack_slack.slack_inputs import EphemeralInput, FileInput, ReactionInput

EPHEMERAL_MESSAGE_SENT = EventDef("EphemeralMessageSent")
SEND_EPHEMERAL_MESSAGE_FAILED = EventDef("SendEphemeralMessageFailed")
REACTION_SENT = EventDef("ReactionSent")
SEND_REACTION_FAILED = EventDef("SendReactionFailed")
FILE_SENT = EventDef("FileSent")
SEND_FILE_FAILED = EventDef("SendFileFailed")


class FurtherCommands:
    """Handlers that the Go pack lacks."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api

    def send_ephemeral_message(self, input: EphemeralInput) -> Event:
        told = {
            "message": input.message,
            "channelId": input.channel_id,
            "userId": input.user_id,
            "threadTimestamp": input.thread_timestamp,
        }
        body: dict[str, Any] = {"channel": input.channel_id, "user": input.user_id}
        body["text"] = input.message
        if input.thread_timestamp:
            body["thread_ts"] = input.thread_timestamp
        if input.blocks is not None:
            body["blocks"] = input.blocks
        try:
            self._api.call("chat.postEphemeral", body)
        except SlackFailed as cause:
            return SEND_EPHEMERAL_MESSAGE_FAILED(told | {"error": str(cause)})
        return EPHEMERAL_MESSAGE_SENT(told)

    def send_reaction(self, input: ReactionInput) -> Event:
        told: dict[str, Any] = msgspec.to_builtins(input)
        body = {
            "channel": input.channel_id,
            "timestamp": input.timestamp,
            "name": input.reaction.strip(":"),
        }
        try:
            self._api.call("reactions.add", body)
        except SlackFailed as cause:
            if str(cause) != "already_reacted":  # then it is as the flow wants it
                return SEND_REACTION_FAILED(told | {"error": str(cause)})
        return REACTION_SENT(told)

    def send_file(self, input: FileInput) -> Event:
        told = input.payload()
        try:
            sent = self._upload(input, input.decoded())
        except (SlackFailed, ValueError) as cause:
            return SEND_FILE_FAILED(told | {"error": str(cause)})
        match sent.get("files"):
            case [{"id": str() as file_id}, *_]:
                return FILE_SENT(told | {"fileId": file_id})
        return FILE_SENT(told | {"fileId": ""})

    def _upload(self, input: FileInput, content: bytes) -> dict[str, Any]:
        return self._api.paced(
            "files.upload",
            input.channel_id,
            lambda: self._api.web.files_upload_v2(
                channel=input.channel_id,
                filename=input.name,
                content=content,
                title=input.title or input.name,
                initial_comment=input.message or None,
                thread_ts=input.thread_timestamp or None,
            ),
        )
