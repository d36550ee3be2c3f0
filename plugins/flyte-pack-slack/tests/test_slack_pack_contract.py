"""The pack keeps the contract of packs; each of its commands has an example."""

import pytest
from flyte_pack_slack import SlackPack

from flyte_host.testing import Example, check_contract

from .slack_stand_in import APP_TOKEN, TOKEN, SlackStandIn

HI = {"message": "hi", "channelId": "C1"}
EPHEMERAL = HI | {"userId": "UANN"}
REACTION = {"channelId": "C1", "timestamp": "1.2", "reaction": "eyes"}
FILE = {"channelId": "C1", "name": "a.txt", "content": "hi"}
EXAMPLES = [
    Example("SendMessage", HI, "MessageSent"),
    Example("SendMessage", HI | {"channelId": "C9"}, "SendMessageFailed"),
    Example("SendMessage", {"message": 5}, "SendMessageFailed"),
    Example("SendRichMessage", {"channel": "C1", "text": "hi"}, "RichMessageSent"),
    Example("SendRichMessage", {"channel": "C9", "text": "hi"}, "SendRichMessageFailed"),
    Example("GetChannelInfo", {"channelName": "general"}, "GetChannelInfoSuccess"),
    Example("GetChannelInfo", {"channelName": "none"}, "GetChannelInfoFail"),
    Example("SendEphemeralMessage", EPHEMERAL, "EphemeralMessageSent"),
    Example("SendEphemeralMessage", EPHEMERAL | {"userId": "UX"}, "SendEphemeralMessageFailed"),
    Example("SendReaction", REACTION, "ReactionSent"),
    Example("SendReaction", REACTION | {"reaction": ""}, "SendReactionFailed"),
    Example("SendFile", FILE, "FileSent"),
    Example("SendFile", FILE | {"contentBase64": "?"}, "SendFileFailed"),
]


@pytest.mark.parametrize("app_token", ["", APP_TOKEN])
def test_it_keeps_the_contract_of_packs(slack: SlackStandIn, app_token: str) -> None:
    settings = {"token": TOKEN, "app_token": app_token, "api_url": slack.url}
    check_contract(SlackPack, settings | {"go_compatible": False}, examples=EXAMPLES)
