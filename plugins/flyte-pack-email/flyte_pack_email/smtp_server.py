"""Sends mails to the server, each within one time limit.

Owns the connection: TLS, login, and the texts for the server's errors. Must not know flyte.
"""

import contextlib
import re
import smtplib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from flyte_pack_kit import ServerWords, TimeLimit, make_tls_context

from flyte_pack_email.settings import EmailSettings

MOST_ANSWER_BYTES = 1_000_000
"""Of all answers on a connection; a few hundred are usual."""
_GO_ON = 354
_UNCLEAR = "it may have arrived"


class MailNotSent(Exception):
    """The server did not take the mail, as far as we know; the text says why."""


class SmtpServer:
    """Sends mails, each over a new connection."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._words = ServerWords(settings.password)
        self._host, self._port = settings.address()
        self._tls = None
        if settings.security != "none":
            self._tls = make_tls_context(settings.ca_file, verify=settings.verify)

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """Send the mail to all recipients or to none; raises MailNotSent."""
        with self._connected(self._settings.timeout_seconds) as client:
            self._expect(client.mail(sender), "MAIL FROM")
            for each in recipients:
                self._expect(client.rcpt(each), f"RCPT TO {each}")
            self._hand_over(client, content)

    def probe(self, limit_seconds: float) -> None:
        """Do everything but send a mail; raises MailNotSent."""
        with self._connected(limit_seconds) as client:
            self._expect(client.noop(), "NOOP")

    def _hand_over(self, client: smtplib.SMTP, content: bytes) -> None:
        """Once the content is on its way, only a clear refusal means that it did not arrive."""
        status, words = client.docmd("DATA")
        if status != _GO_ON:
            raise MailNotSent(f"DATA: {self._answer(status, words)}")
        try:
            client.send(_as_data(content))
            status, words = client.getreply()
        except (smtplib.SMTPException, OSError) as cause:
            told = self._words.show(str(cause))
            raise MailNotSent(f"{told}, while the mail was on its way: {_UNCLEAR}") from cause
        if not 200 <= status < 300:
            told = f"DATA: {self._answer(status, words)}"
            is_refused = 400 <= status < 600
            raise MailNotSent(told if is_refused else f"{told}, which is not an answer: {_UNCLEAR}")

    @contextlib.contextmanager
    def _connected(self, limit_seconds: float) -> Iterator[smtplib.SMTP]:
        limit = TimeLimit(limit_seconds)
        try:
            with limit, contextlib.closing(self._client(limit_seconds)) as client:
                limit.covers(lambda: client.sock)
                self._greet(client)
                yield client
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    client.quit()
        except MailNotSent as refused:
            raise MailNotSent(f"{_over(limit, limit_seconds)}{refused}") from refused
        except smtplib.SMTPResponseException as cause:
            raise MailNotSent(self._answer(cause.smtp_code, cause.smtp_error)) from cause
        except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as cause:
            told = self._words.show(f"{type(cause).__name__}: {cause}")
            over = _over(limit, limit_seconds)
            raise MailNotSent(f"{over}{self._settings.server}: {told}") from cause

    def _client(self, limit_seconds: float) -> smtplib.SMTP:
        name = self._settings.hello_name
        if self._settings.security == "tls":
            return _BoundedTls(local_hostname=name, timeout=limit_seconds, context=self._tls)
        return _BoundedSmtp(local_hostname=name, timeout=limit_seconds)

    def _greet(self, client: smtplib.SMTP) -> None:
        # smtplib takes the name for SNI and certificates from what a constructor connects to.
        client._host = self._host  # type: ignore[attr-defined]  # noqa: SLF001
        self._expect(client.connect(self._host, self._port), "connecting")
        client.ehlo_or_helo_if_needed()
        if self._settings.security == "starttls":
            client.starttls(context=self._tls)
            client.ehlo()
        if self._settings.user:
            client.login(self._settings.user, self._settings.password)

    def _expect(self, answer: tuple[int, bytes], about: str) -> None:
        status, words = answer
        if not 200 <= status < 300:
            raise MailNotSent(f"{about}: {self._answer(status, words)}")

    def _answer(self, status: int, words: bytes | str) -> str:
        return f"{status} {self._words.show(words)}"


class _BoundedSmtp(smtplib.SMTP):
    """smtplib collects the lines of an answer, however many there are."""

    file: Any

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _BoundedLines(self.sock.makefile("rb"))  # type: ignore[union-attr]
        return super().getreply()


class _BoundedTls(_BoundedSmtp, smtplib.SMTP_SSL):
    """The same over TLS."""


class _BoundedLines:
    """The lines that come on a connection, until they are too many."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._left = MOST_ANSWER_BYTES
        self.close = lines.close

    def readline(self, size: int) -> bytes:
        line = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"the answers have more than {MOST_ANSWER_BYTES} bytes")
        return line


def _over(limit: TimeLimit, limit_seconds: float) -> str:
    """Names the limit if it was the cause; the socket's own timeout may come first."""
    return f"no end after {limit_seconds:g} s (timeout_seconds): " if limit.is_over else ""


def _as_data(content: bytes) -> bytes:
    """As it follows DATA: a line of one dot ends it, so each line's first dot is doubled."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", ended) + b".\r\n"
