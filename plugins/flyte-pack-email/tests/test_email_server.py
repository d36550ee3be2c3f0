"""TLS, logins, servers that misbehave, settings and the health check."""

import base64
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from flyte_pack_email import EmailPack, EmailSettings, smtp_server

from flyte_host import Health
from tests.support.bad_servers import closed_port

from .mail_server import (
    PASSWORD,
    USER,
    MailServer,
    Misbehaving,
    Says,
    floods,
    says,
    silent,
    trickles,
)

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., EmailPack]

MAIL = {"from": "bot@example.com", "to": ["ann@example.com"]}
READY = [b"220 hi\r\n", b"250 hello\r\n", b"250 from\r\n", b"250 to\r\n"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(params=["starttls", "tls"])
def secured(
    request: pytest.FixtureRequest, authority: trustme.CA
) -> Iterator[tuple[str, MailServer]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with MailServer(**{request.param: context}) as server:
        yield request.param, server


def test_a_login_over_tls(
    secured: tuple[str, MailServer], ca_file: str, make_pack: MakePack, call: Call
) -> None:
    security, server = secured
    login = {"security": security, "ca_file": ca_file, "user": USER, "password": PASSWORD}
    pack = make_pack(server.address, **login)
    assert call(pack, MAIL)[0] == "EmailSent"
    assert len(server.mailbox.mails) == 1
    assert health(pack) == Health(True, f"{server.address} is ready for mail")


def test_a_wrong_password(
    secured: tuple[str, MailServer], ca_file: str, make_pack: MakePack, call: Call
) -> None:
    security, server = secured
    login = {"security": security, "ca_file": ca_file, "user": USER, "password": "wrong-secret"}
    pack = make_pack(server.address, **login)
    name, payload = call(pack, MAIL)
    assert (name, payload["error"][:4]) == ("SendEmailFailed", "535 ")
    assert "wrong-secret" not in str(payload)
    assert not health(pack).healthy


def test_an_untrusted_certificate_is_a_failure(
    secured: tuple[str, MailServer], make_pack: MakePack, call: Call
) -> None:
    security, server = secured
    name, payload = call(make_pack(server.address, security=security), MAIL)
    assert name == "SendEmailFailed"
    assert "certificate verify failed" in payload["error"]
    assert call(make_pack(server.address, security=security, verify=False), MAIL)[0] == "EmailSent"


def test_a_server_without_starttls_gets_nothing(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    name, payload = call(make_pack(server.address, security="starttls"), MAIL)
    assert name == "SendEmailFailed"
    assert "STARTTLS extension not supported" in payload["error"]
    assert server.mailbox.mails == []


@pytest.mark.parametrize(
    ("treat", "error"),
    [
        (silent, "no end after 0.3 s (timeout_seconds): "),
        (trickles, "no end after 0.3 s (timeout_seconds): "),
        (says([]), "SMTPServerDisconnected: "),
        (says([b"HTTP/1.1 400 Bad Request\r\n\r\n<html>"]), ""),
        (says([b"554 go away\r\n"]), "connecting: 554 go away"),
        (says([b"220 hi\r\n", b"502 no\r\n", b"502 no\r\n"]), "502 no"),
        (says([b"220 hi\r\n", b"\xff" * 9000]), ""),
        (says([*READY[:2], b"451 later\r\n"]), "MAIL FROM: 451 later"),
    ],
    ids=["silent", "trickles", "hangs up", "HTML", "refuses", "no EHLO", "noise", "later"],
)
def test_a_misbehaving_server_is_a_failure(
    make_pack: MakePack, call: Call, treat: Callable[[socket.socket], None], error: str
) -> None:
    with Misbehaving(treat) as server:
        limit = 0.3 if treat in (silent, trickles) else 10
        name, payload = call(make_pack(server.address, timeout_seconds=limit), MAIL)
    assert name == "SendEmailFailed"
    assert payload["error"]
    assert error in payload["error"]


@pytest.mark.parametrize("line", [b"250-x\r\n", b"250-" + b"x" * 4000 + b"\n", b"220-\0\xff\r\n"])
@pytest.mark.parametrize("number", range(6), ids=str)
def test_endless_answers(
    monkeypatch: pytest.MonkeyPatch, make_pack: MakePack, call: Call, number: int, line: bytes
) -> None:
    """To the greeting, EHLO, MAIL, RCPT, DATA and the mail; a lower bound is reached sooner."""
    monkeypatch.setattr(smtp_server, "MOST_ANSWER_BYTES", 50_000)
    with Misbehaving(floods([*READY, b"354 go\r\n"][:number], line)) as server:
        name, payload = call(make_pack(server.address), MAIL)
    assert name == "SendEmailFailed"
    assert "the answers have more than 50000 bytes" in payload["error"]
    assert payload["error"].endswith("it may have arrived") == (number == 5)


@pytest.mark.parametrize(
    "said", [b"550 \x1b[31mred\0\xff\r\n", b"550-a\r\n" * 2000 + b"550 b\r\n"], ids=["odd", "long"]
)
def test_what_a_server_says_is_short_and_printable(
    make_pack: MakePack, call: Call, said: bytes
) -> None:
    with Misbehaving(says([*READY[:2], said])) as server:
        name, payload = call(make_pack(server.address), MAIL)
    assert (name, payload["error"].isprintable()) == ("SendEmailFailed", True)
    assert payload["error"].startswith(
        ("MAIL FROM: 550 \\x1b[31mred\\x00\\xff", "MAIL FROM: 550 a")
    )
    assert len(payload["error"]) < 600


ON_ITS_WAY = ", while the mail was on its way: it may have arrived"


@pytest.mark.parametrize(
    ("treat", "error"),
    [
        (says([*READY, b"354 go\r\n"]), ON_ITS_WAY),
        (says([*READY, b"354 go\r\n"], hang=True), ON_ITS_WAY),
        (says([*READY, b"354 go\r\n", b""], mail_at=4), ON_ITS_WAY),
        (says([*READY, b"354 go\r\n"], mail_at=4, hang=True), ON_ITS_WAY),
        (says([*READY, b"354 go\r\n", b"2" * 9000], mail_at=4), ON_ITS_WAY),
        (
            says([*READY, b"354 go\r\n", b"what\r\n"], mail_at=4),
            "not an answer: it may have arrived",
        ),
        (says([*READY, b"354 go\r\n", b"354 go\r\n"], mail_at=4), "it may have arrived"),
    ],
    ids=["drop", "time", "drop at the end", "time at the end", "long", "no number", "no end"],
)
def test_a_mail_that_may_have_arrived(
    make_pack: MakePack, call: Call, treat: Says, error: str
) -> None:
    with Misbehaving(treat) as server:
        limit = 0.3 if treat.hangs else 10
        name, payload = call(make_pack(server.address, timeout_seconds=limit), MAIL)
    assert name == "SendEmailFailed"
    assert payload["error"].endswith(error)
    assert payload["error"].startswith("no end after 0.3 s (timeout_seconds): ") == treat.hangs


@pytest.mark.parametrize(
    ("treat", "error"),
    [
        (says([*READY, b"554 no\r\n"]), "DATA: 554 no"),
        (says(READY), "Connection unexpectedly closed"),
        (says([*READY, b"354 go\r\n", b"552 too large\r\n"], mail_at=4), "DATA: 552 too large"),
    ],
    ids=["DATA is refused", "drop before DATA", "refused at the end"],
)
def test_a_mail_that_did_not_arrive(
    make_pack: MakePack, call: Call, treat: Says, error: str
) -> None:
    with Misbehaving(treat) as server:
        name, payload = call(make_pack(server.address), MAIL)
    assert (name, payload["error"][-len(error) :]) == ("SendEmailFailed", error)


def test_lines_that_begin_with_dots_arrive_as_they_are(
    server: MailServer, make_pack: MakePack, call: Call
) -> None:
    assert call(make_pack(server.address), MAIL | {"body": ".\n..x\n. "})[0] == "EmailSent"
    [mail] = server.mailbox.mails
    assert isinstance(mail.content, bytes)
    assert mail.content.endswith(b"\r\n\r\n.\r\n..x\r\n. \r\n")


def repeats_the_login(authority: trustme.CA) -> Callable[[socket.socket], None]:
    """Refuses a login with what it was sent: ``AUTH PLAIN`` and the login in base64."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def treat(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as secured,
            secured.makefile("rb") as lines,
        ):
            secured.sendall(b"220 hi\r\n")
            lines.readline()
            secured.sendall(b"250-hello\r\n250 AUTH PLAIN\r\n")
            secured.sendall(b"535 not " + lines.readline().strip() + b"\r\n")
            lines.readline()

    return treat


def test_the_server_repeats_the_password(
    authority: trustme.CA, ca_file: str, make_pack: MakePack, call: Call
) -> None:
    login = {"security": "tls", "ca_file": ca_file, "user": USER, "password": PASSWORD}
    with Misbehaving(repeats_the_login(authority)) as server:
        name, payload = call(make_pack(server.address, **login), MAIL)
    assert name == "SendEmailFailed"
    assert payload["error"].startswith("535 not AUTH PLAIN ")
    assert base64.b64encode(PASSWORD.encode()).decode()[:-2] not in payload["error"]
    said = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    assert said[-8:] not in payload["error"]
    assert "***" in payload["error"]


@pytest.fixture
def nowhere() -> str:
    return f"127.0.0.1:{closed_port()}"


def test_no_server(make_pack: MakePack, call: Call, nowhere: str) -> None:
    name, payload = call(make_pack(nowhere), MAIL)
    assert name == "SendEmailFailed"
    assert payload["error"].startswith(f"{nowhere}: ConnectionRefusedError: ")


def health(pack: EmailPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("email", False)
    return check.check()


def test_health(server: MailServer, make_pack: MakePack, nowhere: str) -> None:
    ready = Health(True, f"{server.address} is ready for mail")
    assert health(make_pack(server.address)) == ready
    found = health(make_pack(nowhere))
    assert not found.healthy
    assert str(found.status).startswith(f"{nowhere} does not accept mail: ")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "server: missing; set it in the pack's settings or as SMTPSERVER"),
        ({"server": "mail"}, "server: found 'mail', expected one like 'mail.example.com:25'"),
        ({"server": "mail:0"}, "server: found 'mail:0', expected one like 'mail.example.com:25'"),
        ({"server": ":25"}, "server: found ':25', expected one like 'mail.example.com:25'"),
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"max_attachments_bytes": -1}, "max_attachments_bytes: found -1, expected 0 or more"),
        (
            {"user": "me", "password": "x"},
            (
                "security: found 'none', expected 'starttls' or 'tls', because with user set a "
                "password would travel in the clear"
            ),
        ),
        (
            {"password": "x"},
            "user, password: found one without the other, expected both or none",
        ),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        EmailPack(EmailSettings(**settings), {})
    assert str(raised.value) == text


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EmailSettings().completed({"SMTPSERVER": "mail:25"}).address() == ("mail", 25)
    own = EmailSettings("[::1]:587").completed({"SMTPSERVER": "mail:25"})
    assert own.address() == ("::1", 587)
    with pytest.raises(ValueError, match="SMTPSERVER: found a value in quotes"):
        EmailSettings().completed({"SMTPSERVER": "'mail:25'"})
    monkeypatch.setenv("SMTPSERVER", "mail:25")
    assert EmailPack(EmailSettings()).flyte_pack().name == "Email"


def test_the_password_is_never_shown() -> None:
    settings = EmailSettings("mail:25", "tls", USER, PASSWORD)
    assert PASSWORD not in repr(settings)
