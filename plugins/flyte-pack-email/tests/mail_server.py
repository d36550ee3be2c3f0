"""A real mail server in a thread, and servers that misbehave."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

USER, PASSWORD = "flyte", "correct-horse"


class Mailbox:
    """Keeps what arrived, and knows whom the server refuses."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.refused: set[str] = set()
        self.answer = "250 taken"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such\tuser"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.mails.append(envelope)
        return self.answer


def authenticate(
    server: Any, session: Any, envelope: Any, mechanism: str, auth: LoginPassword
) -> AuthResult:
    known = (auth.login, auth.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


class MailServer:
    """aiosmtpd on a free port of 127.0.0.1."""

    def __init__(
        self, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.mailbox = Mailbox()
        self._starttls, self._tls = starttls, tls
        self._connections: list[SMTP] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=self._tls)

    async def _end(self) -> None:
        """Close each connection once it has begun; one that has not would stay open."""
        self._loop.remove_reader(self._server.sockets[0].fileno())
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for each in self._connections:
                if each.transport is not None:
                    each.transport.abort()
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        self._server.close()

    def _protocol(self) -> SMTP:
        secured = self._starttls is not None or self._tls is not None
        connection = SMTP(
            self.mailbox,
            tls_context=self._starttls,
            require_starttls=self._starttls is not None,
            authenticator=authenticate if secured else None,
            auth_require_tls=self._tls is None,
            loop=self._loop,
        )
        self._connections.append(connection)
        return connection


class Misbehaving:
    """A TCP server that handles its one connection as a test says."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self._treat = treat
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listening.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.settimeout(10)
            try:
                self._treat(connection)
            except OSError:
                return  # the pack cut it off, as it should


@dataclass(frozen=True)
class Says:
    """Greets with the first answer, gives the next one to each line, and hangs up.

    The answer with the number ``mail_at`` is followed by a mail, up to its dot; who ``hangs`` waits
    until the pack has had enough.
    """

    answers: list[bytes]
    mail_at: int = -1
    hangs: bool = False

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for number, each in enumerate(self.answers):
                connection.sendall(each)
                while lines.readline() not in {b".\r\n", b""} and number == self.mail_at:
                    pass
            while self.hangs and lines.readline():
                pass


def floods(start: list[bytes], line: bytes) -> Callable[[socket.socket], None]:
    """Answers the first lines like this, and the next one endlessly."""

    def treat(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for each in start:
                connection.sendall(each)
                lines.readline()
        while True:
            connection.sendall(line * (65536 // len(line)))

    return treat


def says(answers: list[bytes], *, mail_at: int = -1, hang: bool = False) -> Says:
    return Says(answers, mail_at, hang)


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def trickles(connection: socket.socket) -> None:
    """Never finishes its greeting, but is never silent for long either."""
    stop = threading.Event()
    connection.sendall(b"220-")
    while not stop.wait(0.02):
        connection.sendall(b"220-x\r\n")
