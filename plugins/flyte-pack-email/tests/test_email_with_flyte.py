"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_email import EmailPack

from .mail_server import MailServer

MAIL = {"from": "bot@example.com", "to": ["ann@example.com"], "subject": "Hi", "body": "Hello"}


def test_two_mail_servers_side_by_side(
    flyte_server: Any, flyte_run_host: Callable[..., Any]
) -> None:
    with MailServer() as inside, MailServer() as outside:
        packs = {
            "inside": {"plugin": "email", "settings": {"server": inside.address}},
            "outside": {
                "plugin": "email",
                "labels": {"to": "customers"},
                "settings": {"server": outside.address},
            },
        }
        flyte_run_host({"email": EmailPack}, packs=packs)
        finished = flyte_server.run("Email", "SendEmail", MAIL)
        assert (finished.state, finished.event) == ("SUCCESS", "EmailSent")
        assert len(inside.mailbox.mails) + len(outside.mailbox.mails) == 1
