"""Against a real mail server: what the Go pack did, and what this pack adds."""

import base64
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import pytest
from flyte_pack_email import EmailPack

from flyte_host.testing import Example, check_contract

from .mail_server import MailServer

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., EmailPack]

MAIL = {
    "from": "bot@example.com",
    "to": ["ann@example.com", "bob@example.com"],
    "subject": "Deployed",
    "body": "All good.\n.\nBye",
    "isHtmlEmail": False,
}


def arrived(server: MailServer) -> EmailMessage:
    [envelope] = server.mailbox.mails
    return cast("EmailMessage", message_from_bytes(envelope.original_content, policy=default))


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("mail:25").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Email", {})
    help_url = "https://github.com/ExpediaGroup/flyte-email/blob/master/README.md"
    assert definition.help_url == help_url
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    assert (command.name, events) == ("SendEmail", ["EmailSent", "SendEmailFailed"])
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs(server: MailServer) -> None:
    server.mailbox.refused = {"eve@example.com"}
    examples = [
        Example("SendEmail", MAIL, "EmailSent"),
        Example("SendEmail", MAIL | {"to": ["eve@example.com"]}, "SendEmailFailed"),
    ]
    check_contract(EmailPack, {"server": server.address}, examples=examples)


def test_a_mail_arrives(server: MailServer, make_pack: MakePack, call: Call) -> None:
    assert call(make_pack(server.address), MAIL) == ("EmailSent", MAIL)
    mail = arrived(server)
    [envelope] = server.mailbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == (MAIL["from"], MAIL["to"])
    headers = {"From": "bot@example.com", "To": "ann@example.com, bob@example.com"}
    assert {name: mail[name] for name in headers} == headers
    assert (mail["Subject"], mail["Date"]) == ("Deployed", "Sun, 01 Mar 2026 12:30:00 +0000")
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content() == "All good.\r\n.\r\nBye\r\n"


def test_html_and_letters_beyond_ascii(server: MailServer, make_pack: MakePack, call: Call) -> None:
    html = MAIL | {"subject": "Grüße 🚀", "body": "<b>Grüße</b>" + "x" * 2000, "isHtmlEmail": True}
    assert call(make_pack(server.address), html) == ("EmailSent", html)
    mail = arrived(server)
    assert (mail["Subject"], mail.get_content_type()) == ("Grüße 🚀", "text/html")
    assert mail.get_content() == f"{html['body']}\r\n"
    raw = server.mailbox.mails[0].original_content
    assert raw is not None
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998


def test_copies_and_attachments(server: MailServer, make_pack: MakePack, call: Call) -> None:
    binary = bytes(range(256))
    added = {
        "from": "Flyte Bot <bot@example.com>",
        "cc": ["Cleo <cleo@example.com>"],
        "bcc": ["dan@example.com", "ann@example.com"],
        "replyTo": "help@example.com",
    }
    attachments = [
        {"name": "räport.csv", "content": "a,b\n"},
        {"name": "x", "contentBase64": base64.b64encode(binary).decode()},
        {"name": "m.eml", "content": "no mail", "contentType": "message/rfc822"},
        {"name": "x.svg", "content": "<svg/>", "contentType": "image/svg+xml"},
    ]
    name, payload = call(make_pack(server.address), MAIL | added | {"attachments": attachments})
    names = [each["name"] for each in attachments]
    assert (name, payload) == ("EmailSent", MAIL | added | {"attachments": names})
    [envelope] = server.mailbox.mails
    everybody = [*MAIL["to"], "cleo@example.com", "dan@example.com"]  # type: ignore[misc]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bot@example.com", everybody)
    assert envelope.original_content is not None
    assert b"dan@" not in envelope.original_content
    mail = arrived(server)
    assert (mail["Cc"], mail["Reply-To"]) == ("Cleo <cleo@example.com>", "help@example.com")
    parts = list(mail.iter_attachments())
    assert [each.get_filename() for each in parts] == names
    kinds = ["text/csv", "application/octet-stream", "application/octet-stream", "image/svg+xml"]
    assert [each.get_content_type() for each in parts] == kinds
    assert parts[1].get_payload(decode=True) == binary


@pytest.mark.parametrize(
    "key", ["subject", "from", "to", "cc", "bcc", "replyTo", "attachment's name"]
)
@pytest.mark.parametrize("character", ["\r\n", "\n", "\r", "\0", "\u2028", "\x85"])
def test_no_value_becomes_a_header(
    server: MailServer, make_pack: MakePack, call: Call, key: str, character: str
) -> None:
    value = f"a@example.com{character}Bcc: eve@example.com"
    given: Any = [value] if key in {"to", "cc", "bcc"} else value
    document = MAIL | {key: given}
    if key == "attachment's name":
        document["attachments"] = [{"name": value, "content": ""}]
    name, payload = call(make_pack(server.address), document)
    assert name == "SendEmailFailed"
    expected = f"{key}: {value!r} has a line break or another control character"
    assert payload["error"] == expected
    assert server.mailbox.mails == []


@pytest.mark.parametrize("newline", ["\n", "\r"])
def test_a_body_cannot_smuggle_a_second_mail(
    server: MailServer, make_pack: MakePack, call: Call, newline: str
) -> None:
    smuggled = f"x{newline}.{newline}MAIL FROM:<eve@example.com>{newline}"
    assert call(make_pack(server.address), MAIL | {"body": smuggled})[0] == "EmailSent"
    assert arrived(server).get_content() == "x\r\n.\r\nMAIL FROM:<eve@example.com>\r\n"


@pytest.mark.parametrize(
    "text",
    ["10\u00a0%", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "soft\u00adhyphen", "\u3000x"],
    ids=["no-break space", "a family", "soft hyphen", "ideographic space"],
)
def test_what_people_paste_may_be_in_headers(
    server: MailServer, make_pack: MakePack, call: Call, text: str
) -> None:
    subject = f"It is {text}."
    files = [{"name": f"a {text}.txt", "content": "x"}]
    document = MAIL | {"subject": subject, "attachments": files}
    document["from"] = f"Ann {text} Lee <ann@example.com>"
    assert call(make_pack(server.address), document)[0] == "EmailSent"
    mail = arrived(server)
    assert (mail["Subject"], mail["From"].addresses[0].addr_spec) == (subject, "ann@example.com")
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == files[0]["name"]


def test_a_subject_may_end_with_a_newline(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    assert call(make_pack(server.address), MAIL | {"subject": "Deployed\n"})[0] == "EmailSent"
    assert arrived(server)["Subject"] == "Deployed"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({**MAIL, "to": "ann@example.com"}, "Expected `array | null`, got `str` - at `$.to`"),
        ({**MAIL, "isHtmlEmail": "yes"}, "Expected `bool`, got `str` - at `$.isHtmlEmail`"),
        ({**MAIL, "subject": 5}, "Expected `str`, got `int` - at `$.subject`"),
        ("text", "Expected `object`, got `str`"),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_input_that_does_not_fit_is_fatal(
    make_pack: MakePack, call: Call, document: Any, told: str
) -> None:
    error = f"Could not unmarshal input for 'SendEmail' command: {told}"
    assert call(make_pack("mail:25"), document) == ("FATAL", error)


def test_without_compatibility_it_is_a_failure(make_pack: MakePack, call: Call) -> None:
    name, payload = call(make_pack("mail:25", go_compatible=False), {"to": 5})
    assert (name, payload["input"]) == ("SendEmailFailed", {"to": 5})
    assert "Expected `array | null`, got `int` - at `$.to`" in payload["error"]


def test_without_compatibility_one_recipient_needs_no_list(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    pack = make_pack(server.address, go_compatible=False)
    assert call(pack, MAIL | {"to": "ann@example.com"})[0] == "EmailSent"
    assert server.mailbox.mails[0].rcpt_tos == ["ann@example.com"]


def test_keys_match_in_any_case_and_null_is_nothing(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    document = {"FROM": "a@example.com", "To": ["b@example.com"], "subject": None, "odd": 1}
    name, payload = call(make_pack(server.address), document)
    assert (name, payload["from"], payload["subject"]) == ("EmailSent", "a@example.com", "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (None, "from: '' is not an address like 'a@example.com'"),
        ({"from": "bot"}, "from: 'bot' is not an address like 'a@example.com'"),
        ({"from": "a@b@c"}, "from: 'a@b@c' is not an address like 'a@example.com'"),
        ({"from": "a@"}, "from: 'a@' is not an address like 'a@example.com'"),
        ({"to": [None]}, "to: '' is not an address like 'a@example.com'"),
        ({"to": None}, "to, cc, bcc: nobody to send it to"),
        ({"cc": ["jürgen@example.com"]}, "cc: 'jürgen@example.com' is not ASCII, which not every"),
        (
            {"attachments": [{"name": "a", "contentBase64": "?"}]},
            "attachment 'a': contentBase64 is not base64",
        ),
        (
            {"attachments": [{"name": "a", "contentType": "a/b; c"}]},
            "attachment 'a': 'a/b; c' is not a type like text/csv",
        ),
        (
            {"attachments": [{"name": "a", "content": "x" * 60}] * 2},
            "attachments: more than 100 bytes (max_attachments_bytes)",
        ),
    ],
)
def test_a_mail_that_cannot_be_sent_is_a_failure(
    make_pack: MakePack, call: Call, change: dict[str, Any] | None, error: str
) -> None:
    document = None if change is None else MAIL | change
    name, payload = call(make_pack("mail:25", max_attachments_bytes=100), document)
    assert name == "SendEmailFailed"
    assert payload["error"].startswith(error)
    assert payload["Err"] == payload["error"]


def test_one_refused_recipient_stops_the_mail(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    server.mailbox.refused.add("bob@example.com")
    error = "RCPT TO bob@example.com: 550 no such user"
    name, payload = call(make_pack(server.address), MAIL)
    assert (name, payload) == ("SendEmailFailed", MAIL | {"Err": error, "error": error})
    assert server.mailbox.mails == []


def test_without_compatibility_the_error_has_one_key(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    server.mailbox.answer = "554 spam"
    name, payload = call(make_pack(server.address, go_compatible=False), MAIL)
    assert (name, payload) == ("SendEmailFailed", MAIL | {"error": "DATA: 554 spam"})
