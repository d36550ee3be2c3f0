"""Sends mails to the server, each within one time limit.

Owns the connection: TLS, login, and the texts for the server's errors. Must not know flyte.
"""

import contextlib
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

from flyte_pack_email.settings import EmailSettings


class MailNotSent(Exception):
    """The server did not take the mail; the text says why."""


class SmtpServer:
    """Sends mails, each over a new connection."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._host, self._port = settings.address()
        self._tls = _tls(settings) if settings.security != "none" else None

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """Send the mail to all recipients or to none; raises MailNotSent."""
        with self._connected(self._settings.timeout_seconds) as client:
            _expect(client.mail(sender), "MAIL FROM")
            for each in recipients:
                _expect(client.rcpt(each), f"RCPT TO {each}")
            try:
                answer = client.data(content)
            except smtplib.SMTPServerDisconnected as cause:
                raise MailNotSent(
                    f"{cause}, while the mail was on its way: it may have arrived"
                ) from cause
            _expect(answer, "DATA")

    def probe(self, limit_seconds: float) -> None:
        """Do everything but send a mail; raises MailNotSent."""
        with self._connected(limit_seconds) as client:
            _expect(client.noop(), "NOOP")

    @contextlib.contextmanager
    def _connected(self, limit_seconds: float) -> Iterator[smtplib.SMTP]:
        limit = _TimeLimit(limit_seconds)
        try:
            with limit, contextlib.closing(self._client(limit_seconds)) as client:
                limit.covers(client)
                self._greet(client)
                yield client
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    client.quit()
        except MailNotSent as refused:
            raise MailNotSent(limit.words(str(refused))) from refused
        except smtplib.SMTPResponseException as cause:
            raise MailNotSent(_answer(cause.smtp_code, cause.smtp_error)) from cause
        except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as cause:
            told = f"{type(cause).__name__}: {cause}"
            raise MailNotSent(limit.words(f"{self._settings.server}: {told}")) from cause

    def _client(self, limit_seconds: float) -> smtplib.SMTP:
        name = self._settings.hello_name
        if self._settings.security == "tls":
            return smtplib.SMTP_SSL(local_hostname=name, timeout=limit_seconds, context=self._tls)
        return smtplib.SMTP(local_hostname=name, timeout=limit_seconds)

    def _greet(self, client: smtplib.SMTP) -> None:
        # smtplib takes the name for SNI and certificates from what a constructor connects to.
        client._host = self._host  # type: ignore[attr-defined]  # noqa: SLF001
        _expect(client.connect(self._host, self._port), "connecting")
        client.ehlo_or_helo_if_needed()
        if self._settings.security == "starttls":
            client.starttls(context=self._tls)
            client.ehlo()
        if self._settings.user:
            client.login(self._settings.user, self._settings.password)


class _TimeLimit:
    """Cuts the connection when the time is up, however slowly the server talks.

    A socket's timeout would start again with each byte.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._client: smtplib.SMTP | None = None
        self._ends_at = 0.0
        self._timer = threading.Timer(seconds, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._ends_at = time.monotonic() + self._seconds
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def covers(self, client: smtplib.SMTP) -> None:
        self._client = client

    def words(self, told: str) -> str:
        """The error, and the limit if it was the cause: the socket's own timeout may come first."""
        is_over = time.monotonic() >= self._ends_at
        return f"no end after {self._seconds:g} s (timeout_seconds): {told}" if is_over else told

    def _cut_off(self) -> None:
        connection: socket.socket | None = getattr(self._client, "sock", None)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _tls(settings: EmailSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _expect(answer: tuple[int, bytes], about: str) -> None:
    status, words = answer
    if not 200 <= status < 300:
        raise MailNotSent(f"{about}: {_answer(status, words)}")


def _answer(status: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{status} {' '.join(text.split())[:500]}"
