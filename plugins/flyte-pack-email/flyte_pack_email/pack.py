"""The Email pack: SendEmail, and whether the mail server would take one.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from flyte_pack_kit import HEALTH_LIMIT_SECONDS

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, fatal_event, hookimpl
from flyte_pack_email.mail import MailInput, MailRefused, compose, parse
from flyte_pack_email.settings import EmailSettings
from flyte_pack_email.smtp_server import MailNotSent, SmtpServer

HELP_URL = "https://github.com/ExpediaGroup/flyte-email/blob/master/README.md"
EMAIL_SENT = EventDef("EmailSent")
"""Payload: the input."""
SEND_EMAIL_FAILED = EventDef("SendEmailFailed")
"""Payload: the input and ``error``; with ``go_compatible`` also ``Err``, the Go pack's key."""


class EmailPack:
    """Sends mails; drop-in for the Go pack flyte-email.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own), ``now``
    gives the date of a mail.
    """

    def __init__(
        self,
        settings: EmailSettings,
        environ: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._server = SmtpServer(self._settings)
        self._now = now

    @hookimpl
    def flyte_pack(self) -> PackDef:
        # Not idempotent: a mail that is sent twice arrives twice.
        events = [EMAIL_SENT, SEND_EMAIL_FAILED]
        return PackDef("Email", HELP_URL, commands=[Command("SendEmail", self._send, events)])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: a restart would not repair the mail server, and its other packs are fine.
        return [HealthCheck("email", self._check, critical=False)]

    def _send(self, input: Any) -> Event:
        try:
            mail = parse(input, go_compatible=self._settings.go_compatible)
        except msgspec.ValidationError as cause:
            return self._unreadable(input, cause)
        try:
            content = compose(mail, self._now(), self._settings.max_attachments_bytes)
            self._server.send(mail.envelope_sender(), mail.recipients(), content)
        except (MailRefused, MailNotSent) as cause:
            return self._failed(mail, str(cause))
        return EMAIL_SENT(mail.payload())

    def _unreadable(self, input: Any, cause: msgspec.ValidationError) -> Event:
        told = f"Could not unmarshal input for 'SendEmail' command: {cause}"
        if self._settings.go_compatible:
            return fatal_event(told)
        return SEND_EMAIL_FAILED({"input": input, "error": told})

    def _failed(self, mail: MailInput, error: str) -> Event:
        errors = {"Err": error} if self._settings.go_compatible else {}
        return SEND_EMAIL_FAILED(mail.payload() | errors | {"error": error})

    def _check(self) -> Health:
        limit_seconds = min(HEALTH_LIMIT_SECONDS, self._settings.timeout_seconds)
        try:
            self._server.probe(limit_seconds)
        except MailNotSent as cause:
            return Health(False, f"{self._settings.server} does not accept mail: {cause}")
        return Health(True, f"{self._settings.server} is ready for mail")
