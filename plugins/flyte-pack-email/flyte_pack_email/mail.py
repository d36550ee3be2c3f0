"""A mail: from the input of SendEmail to what travels over SMTP.

Owns the input's keys. No value can add a header. Must not know SMTP.
"""

import base64
import mimetypes
import unicodedata
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

import msgspec
from flyte_pack_kit import match_keys

# Works with every server: no line of a mail needs more than seven bits.
_POLICY = SMTP.clone(cte_type="7bit")
_BREAKS = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode that no header may have: control characters and breaks of lines. What is
pasted from chats has others that cannot be seen, such as no-break spaces and parts of emojis."""


class MailRefused(Exception):
    """The mail cannot be sent as it is; the failure event has the text."""


class MailAttachment(msgspec.Struct, frozen=True, rename="camel"):
    """A file of a mail, given as text or as base64."""

    name: str
    content: str | None = None
    content_base64: str | None = None
    content_type: str | None = None

    def decoded(self) -> bytes:
        if self.content_base64 is None:
            return (self.content or "").encode()
        try:
            return base64.b64decode("".join(self.content_base64.split()), validate=True)
        except ValueError:
            raise MailRefused(f"attachment {self.name!r}: contentBase64 is not base64") from None

    def kind(self) -> list[str]:
        """Type and subtype, guessed by the name if they were not given."""
        given = self.content_type or mimetypes.guess_type(self.name)[0]
        kind = (given or "application/octet-stream").split("/")
        if len(kind) != 2 or not all(each.replace("-", "a").isalnum() for each in _words(kind)):
            raise MailRefused(f"attachment {self.name!r}: {given!r} is not a type like text/csv")
        return kind


def _words(kind: list[str]) -> list[str]:
    return [word for each in kind for word in each.replace("+", ".").split(".")]


class MailInput(msgspec.Struct, frozen=True, rename="camel"):
    """The input of SendEmail; every key may be missing, as in the Go pack."""

    sender: str = msgspec.field(default="", name="from")
    to: list[str | None] | None = None
    subject: str = ""
    body: str = ""
    is_html_email: bool = False
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str = ""
    attachments: list[MailAttachment] = []

    def payload(self) -> dict[str, Any]:
        """What events say about the mail: the Go pack's keys, and additions that were given."""
        to = None if self.to is None else [each or "" for each in self.to]
        told: dict[str, Any] = {
            "from": self.sender,
            "to": to,
            "subject": self.subject,
            "body": self.body,
            "isHtmlEmail": self.is_html_email,
        }
        names = [each.name for each in self.attachments]
        added = {"cc": self.cc, "bcc": self.bcc, "replyTo": self.reply_to, "attachments": names}
        return told | {key: value for key, value in added.items() if value}

    def recipients(self) -> list[str]:
        """The bare address of each recipient, once."""
        found = [_bare("to", each or "") for each in self.to or []]
        found += [_bare("cc", each) for each in self.cc]
        found += [_bare("bcc", each) for each in self.bcc]
        if not found:
            raise MailRefused("to, cc, bcc: nobody to send it to")
        return list(dict.fromkeys(found))

    def envelope_sender(self) -> str:
        return _bare("from", self.sender)


def parse(document: Any, *, go_compatible: bool) -> MailInput:
    """The input by Go's rules: keys in any case, ``null`` is nothing given, no conversions.

    Raises ``msgspec.ValidationError``.
    """
    given = match_keys(MailInput, document)
    if isinstance(given, dict) and not go_compatible:
        given |= {
            key: [given[key]] for key in ("to", "cc", "bcc") if isinstance(given.get(key), str)
        }
    return msgspec.convert(given, MailInput)


# msgspec crashes if two threads are the first to use a type: use each one now.
msgspec.json.Decoder(MailInput)


def compose(mail: MailInput, now: datetime, max_attachments_bytes: int) -> bytes:
    """The mail as it travels; raises MailRefused for what would break out of its header."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = _address("from", mail.sender)
    for header, key, given in (("To", "to", mail.to or []), ("Cc", "cc", mail.cc)):
        if given:
            message[header] = [_address(key, each or "") for each in given]
    if mail.reply_to:
        message["Reply-To"] = _address("replyTo", mail.reply_to)
    # Templates often end with a newline.
    message["Subject"] = _one_line("subject", mail.subject.strip())
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=mail.envelope_sender().rpartition("@")[2])
    message.set_content(mail.body, subtype="html" if mail.is_html_email else "plain")
    _attach(message, mail.attachments, max_attachments_bytes)
    return message.as_bytes()


def _attach(message: EmailMessage, attachments: list[MailAttachment], limit_bytes: int) -> None:
    total_bytes = 0
    for each in attachments:
        content = each.decoded()
        total_bytes += len(content)
        if total_bytes > limit_bytes:
            raise MailRefused(f"attachments: more than {limit_bytes} bytes (max_attachments_bytes)")
        maintype, subtype = each.kind()
        name = _one_line("attachment's name", each.name)
        if maintype in {"multipart", "message"}:
            maintype, subtype = "application", "octet-stream"
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)


def _bare(key: str, given: str) -> str:
    return _address(key, given).addr_spec


def _address(key: str, given: str) -> Address:
    """``given`` as ``a@b`` or ``Name <a@b>``."""
    name, bare = parseaddr(_one_line(key, given.strip()))
    if not bare.isascii():
        raise MailRefused(f"{key}: {given!r} is not ASCII, which not every server takes")
    try:
        address = Address(name, addr_spec=bare) if "@" in bare else None
    except Exception:  # the standard library's parser raises many kinds
        address = None
    if address is None or not address.domain:
        raise MailRefused(f"{key}: {given!r} is not an address like 'a@example.com'")
    return address


def _one_line(key: str, given: str) -> str:
    if any(unicodedata.category(each) in _BREAKS and each != "\t" for each in given):
        raise MailRefused(f"{key}: {given!r} has a line break or another control character")
    return given
