"""What the Go pack did, and what this pack adds: registration, commands, failures.

``differs`` marks where it differs from the Go pack on purpose.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_slack import SlackPack

from .slack_stand_in import TOKEN, SlackStandIn

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., SlackPack]

SENT = "1700000000.000001"


# Registration ----------------------------------------------------------------------------------


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack().flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Slack", {})
    help_url = "https://github.com/ExpediaGroup/flyte-slack/blob/master/README.md"
    assert definition.help_url == help_url
    raised = [each.name for each in definition.event_defs]
    assert raised[:2] == ["ReceivedMessage", "ReactionAdded"]
    assert raised[2:] == ["SlashCommand", "ButtonPressed"]  # differs: additions
    commands = {each.name: [e.name for e in each.output_events] for each in definition.commands}
    assert list(commands)[:3] == ["SendMessage", "SendRichMessage", "GetChannelInfo"]
    assert commands["SendMessage"] == ["MessageSent", "SendMessageFailed"]
    assert commands["SendRichMessage"] == ["RichMessageSent", "SendRichMessageFailed"]
    assert commands["GetChannelInfo"] == [
        "MessageSent",
        "SendMessageFailed",
        "GetChannelInfoSuccess",  # differs: the Go pack raises both without declaring them
        "GetChannelInfoFail",
    ]
    assert list(commands)[3:] == ["SendEphemeralMessage", "SendReaction", "SendFile"]


def test_without_compatibility_it_declares_what_it_raises(make_pack: MakePack) -> None:
    commands = make_pack(go_compatible=False).flyte_pack().commands
    [info] = [each for each in commands if each.name == "GetChannelInfo"]
    names = [each.name for each in info.output_events]
    assert names == ["GetChannelInfoSuccess", "GetChannelInfoFail"]


def test_only_reads_and_reactions_may_run_twice(make_pack: MakePack) -> None:
    commands = make_pack().flyte_pack().commands
    assert {each.name for each in commands if each.idempotent} == {"GetChannelInfo", "SendReaction"}
    assert {each.timeout_seconds for each in commands} == {140}


# SendMessage -----------------------------------------------------------------------------------


def test_a_message_is_sent(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    document = {"message": "Grüße", "channelId": "C1", "threadTimestamp": "1.2"}
    expected = {"message": "Grüße", "threadTimestamp": "", "channelId": "C1"}
    name, payload = call(make_pack(), "SendMessage", document)
    # differs: the Go pack does not say when, and answers before it asks Slack
    assert (name, payload) == ("MessageSent", expected | {"timestamp": SENT})
    assert slack.posted == [{"channel": "C1", "text": "Grüße", "thread_ts": "1.2"}]
    [asked] = slack.calls
    assert (asked.token, asked.content_type) == (TOKEN, "application/json")


def test_without_compatibility_it_says_which_thread(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    document = {"message": "hi", "channelId": "C1", "threadTimestamp": "1.2"}
    pack = make_pack(go_compatible=False)
    assert call(pack, "SendMessage", document)[1]["threadTimestamp"] == "1.2"
    document |= {"channelId": "C9"}
    assert call(pack, "SendMessage", document)[1]["threadTimestamp"] == "1.2"


def test_keys_match_in_any_case_and_null_is_nothing(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    document = {"MESSAGE": "hi", "channelid": "C1", "threadTimestamp": None, "odd": 1}
    assert call(make_pack(), "SendMessage", document)[0] == "MessageSent"
    assert slack.posted == [{"channel": "C1", "text": "hi"}]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (None, "missing message field, missing channel id field"),
        ({}, "missing message field, missing channel id field"),
        ({"message": "hi"}, "missing channel id field"),
        ({"channelId": "C1"}, "missing message field"),
        ({"message": "hi", "channelId": "C9"}, "channel_not_found"),  # differs: MessageSent
    ],
)
def test_a_message_that_is_not_sent_is_a_failure(
    make_pack: MakePack, call: Call, document: dict[str, Any] | None, error: str
) -> None:
    given = document or {}
    told = {"message": given.get("message", ""), "channelId": given.get("channelId", "")}
    name, payload = call(make_pack(), "SendMessage", document)
    expected = told | {"threadTimestamp": "", "error": error}
    assert (name, payload) == ("SendMessageFailed", expected)


# SendRichMessage -------------------------------------------------------------------------------

NOTHING = {
    "parse": "", "thread_ts": "", "reply_broadcast": False, "link_names": 0, "attachments": None,
    "unfurl_links": False, "unfurl_media": False, "username": "", "icon_url": "", "icon_emoji": "",
    "escape_text": False, "channel": "", "text": "",
}  # fmt: skip


def test_a_rich_message_is_sent(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    attachments = [{"title": "T", "fields": [{"title": "a", "value": "b", "short": True}]}]
    document = {
        "channel": "C1", "text": "hi", "username": "bot", "parse": "full", "thread_ts": "1.2",
        "icon_emoji": ":x:", "icon_url": "https://i", "link_names": 7, "reply_broadcast": True,
        "attachments": attachments, "blocks": [{"type": "divider"}], "mrkdwn": True,
    }  # fmt: skip
    name, payload = call(make_pack(), "SendRichMessage", document)
    assert (name, payload) == ("RichMessageSent", {"channelId": "C1", "threadTimestamp": SENT})
    off = {"unfurl_links": False, "unfurl_media": False}
    assert slack.posted == [document | {"link_names": True} | off]


def test_the_defaults_are_those_of_the_go_packs_library(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    call(make_pack(), "SendRichMessage", {"channel": "C1", "text": "*hi*"})
    off = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    assert slack.posted == [{"channel": "C1", "text": "*hi*"} | off]


def test_without_compatibility_the_defaults_are_slacks(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    pack = make_pack(go_compatible=False)
    document = {"channel": "C1", "text": "*hi*", "UNFURL_LINKS": False, "thread_ts": "1.2"}
    name, payload = call(pack, "SendRichMessage", document)
    expected = {"channelId": "C1", "threadTimestamp": "1.2", "timestamp": SENT}
    assert (name, payload) == ("RichMessageSent", expected)
    sent = {"channel": "C1", "text": "*hi*", "unfurl_links": False, "thread_ts": "1.2"}
    assert slack.posted == [sent]


def test_text_may_be_escaped(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    call(make_pack(), "SendRichMessage", {"channel": "C1", "text": "a<b&c", "escape_text": True})
    assert slack.posted[0]["text"] == "a&lt;b&amp;c"


def test_a_rich_message_that_is_not_sent_is_a_failure(make_pack: MakePack, call: Call) -> None:
    name, payload = call(make_pack(), "SendRichMessage", None)
    assert (name, payload["inputMessage"]) == ("SendRichMessageFailed", NOTHING)
    assert payload["error"].startswith('cannot send rich message={"parse":"","thread_ts":""')
    assert payload["error"].endswith(": channel_not_found")
    document = {"channel": "C9", "mrkdwn": True, "blocks": [1]}
    _, payload = call(make_pack(), "SendRichMessage", document)
    assert payload["inputMessage"] == NOTHING | document


# Input that cannot be read ---------------------------------------------------------------------

UNREADABLE: list[tuple[str, Any, str]] = [
    (
        "SendMessage",
        {"message": 5},
        "input is not valid: Expected `str`, got `int` - at `$.message`",
    ),
    ("SendMessage", "text", "input is not valid: Expected `object`, got `str`"),
    ("SendMessage", [], "input is not valid: Expected `object`, got `array`"),
    ("SendRichMessage", {"link_names": "x"}, "invalid input: Expected `int`, got `str` - at"),
    ("SendRichMessage", {"mrkdwn": "true"}, "invalid input: Expected `bool`, got `str` - at"),
    (
        "SendRichMessage",
        {"attachments": {}},
        "invalid input: Expected `array | null`, got `obj",
    ),
]


@pytest.mark.parametrize(("command", "document", "told"), UNREADABLE)
def test_input_that_cannot_be_read_is_fatal(
    make_pack: MakePack, call: Call, command: str, document: Any, told: str
) -> None:
    name, payload = call(make_pack(), command, document)
    assert name == "FATAL"
    assert payload.startswith(told)


@pytest.mark.parametrize(("command", "document", "told"), UNREADABLE)
def test_without_compatibility_it_is_a_failure(
    make_pack: MakePack, call: Call, command: str, document: Any, told: str
) -> None:
    name, payload = call(make_pack(go_compatible=False), command, document)
    assert (name, payload["input"]) == (f"{command}Failed", document)
    assert payload["error"].startswith(told)


# GetChannelInfo --------------------------------------------------------------------------------


def test_a_channel_is_found(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    conversation = {"id": "C1", "name": "general", "topic": "Everything"}
    expected = {"channelName": "general", "conversation": conversation}
    found = call(make_pack(), "GetChannelInfo", {"channelName": "general"})
    assert found == ("GetChannelInfoSuccess", expected)
    [asked] = slack.calls
    assert asked.arguments == {
        "exclude_archived": "true", "limit": "1000", "types": "public_channel",
    }  # fmt: skip


@pytest.mark.parametrize("document", [None, {}, {"channelName": "x"}, {"channelName": "#general"}])
def test_a_missing_channel_is_a_failure(make_pack: MakePack, call: Call, document: Any) -> None:
    name, payload = call(make_pack(), "GetChannelInfo", document)
    asked = (document or {}).get("channelName", "")
    reason = "can't find channel with such name"
    assert (name, payload) == ("GetChannelInfoFail", {"channelName": asked, "reason": reason})


@pytest.mark.parametrize("document", [{"channelName": 5}, "general", []])
def test_a_name_that_cannot_be_read_is_a_failure(
    make_pack: MakePack, call: Call, document: Any
) -> None:
    name, payload = call(make_pack(), "GetChannelInfo", document)
    assert (name, payload["channelName"]) == ("GetChannelInfoFail", "")
    assert payload["reason"].startswith("Expected ")


def test_without_compatibility_a_name_may_have_its_mark(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(go_compatible=False)
    name, payload = call(pack, "GetChannelInfo", {"channelName": "#general"})
    assert (name, payload["conversation"]["id"]) == ("GetChannelInfoSuccess", "C1")


# Additions -------------------------------------------------------------------------------------


def test_an_ephemeral_message(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    document = {"channelId": "C1", "userId": "UANN", "message": "psst", "threadTimestamp": "1.2"}
    blocks = [{"type": "divider"}]
    name, payload = call(make_pack(), "SendEphemeralMessage", document | {"blocks": blocks})
    assert (name, payload) == ("EphemeralMessageSent", document)
    sent = {"channel": "C1", "user": "UANN", "text": "psst", "thread_ts": "1.2", "blocks": blocks}
    assert slack.posted == [sent]
    document |= {"userId": "UX", "threadTimestamp": ""}
    name, payload = call(make_pack(), "SendEphemeralMessage", document)
    expected = document | {"error": "user_not_in_channel"}
    assert (name, payload) == ("SendEphemeralMessageFailed", expected)


def test_a_reaction_may_be_sent_twice(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    document = {"channelId": "C1", "timestamp": "1.2", "reaction": ":eyes:"}
    for _ in range(2):
        assert call(make_pack(), "SendReaction", document) == ("ReactionSent", document)
    assert slack.reactions == {("C1", "1.2", "eyes")}
    slack.errors["reactions.add"] = "message_not_found"
    expected = document | {"error": "message_not_found"}
    assert call(make_pack(), "SendReaction", document) == ("SendReactionFailed", expected)


@pytest.mark.parametrize(
    ("given", "content"),
    [({"content": "a,b\n"}, b"a,b\n"), ({"contentBase64": "/w A="}, b"\xff\0")],
)
def test_a_file_is_sent(
    slack: SlackStandIn, make_pack: MakePack, call: Call, given: dict[str, str], content: bytes
) -> None:
    document = {"channelId": "C1", "name": "a.csv", "message": "see", "threadTimestamp": "1.2"}
    name, payload = call(make_pack(), "SendFile", document | given)
    [file_id] = slack.files
    expected = document | {"title": "", "fileId": file_id}
    assert (name, payload, slack.files[file_id]) == ("FileSent", expected, content)
    [posted] = slack.posted
    assert (posted["channel_id"], posted["thread_ts"]) == ("C1", "1.2")
    assert (posted["initial_comment"], posted["files"][0]["title"]) == ("see", "a.csv")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"contentBase64": "?"}, "contentBase64 is not base64"),
        ({"content": "x"}, "missing_scope"),
    ],
)
def test_a_file_that_is_not_sent_is_a_failure(
    slack: SlackStandIn,
    make_pack: MakePack,
    call: Call,
    document: dict[str, str],
    error: str,
) -> None:
    slack.errors["files.getUploadURLExternal"] = "missing_scope"
    name, payload = call(make_pack(), "SendFile", {"channelId": "C1", "name": "a"} | document)
    assert (name, payload["error"]) == ("SendFileFailed", error)


@pytest.mark.parametrize("command", ["SendEphemeralMessage", "SendReaction", "SendFile"])
def test_additions_check_their_input(make_pack: MakePack, call: Call, command: str) -> None:
    name, payload = call(make_pack(), command, {"channelId": 5})
    assert name == "FATAL"
    assert "expected str, got int" in payload
