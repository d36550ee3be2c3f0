"""TLS, logins, servers that misbehave, settings and the health check."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_ldap import LdapPack, LdapSettings, directory

from flyte_host import Health
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.bad_servers import ANY_PROTOCOL, HTTP, NEEDING_PATIENCE, bad_server, closed_port

from .hostile_directory import (
    DONE,
    GROUP,
    MANY,
    NEVER_ENDING,
    REFUSED,
    Answer,
    BytesSent,
    after_the_bind,
    ber,
    drips,
    entry,
    says,
)
from .ldap_server import BASE, BIND_DN, PASSWORD, LdapServer

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., LdapPack]

ANN = {"username": "ann"}
UNREAD_BYTES = 20_000_000
"""What the sockets of both ends may hold at most."""
BAD = {**ANY_PROTOCOL, "HTML": HTTP["HTML"]}


def health(pack: LdapPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("ldap", False)
    return check.check()


@pytest.mark.parametrize("security", ["starttls", "none"])
def test_tls(ldap_server: LdapServer, make_pack: MakePack, call: Call, security: str) -> None:
    url = {
        "starttls": f"ldap://127.0.0.1:{ldap_server.port}",
        "none": f"ldaps://localhost:{ldap_server.tls_port}",
    }[security]
    pack = make_pack(url, security=security, ca_file=ldap_server.ca_file)
    assert call(pack, ANN)[0] == "GroupsRetrieved"
    assert health(pack) == Health(True, f"{url} lets {BIND_DN} search")
    name, payload = call(make_pack(url, security=security), ANN)
    assert name == "GroupsRetrievalError"
    assert payload["error"].startswith("Cannot connect to LDAP: ")
    assert "certificate verify failed" in payload["error"]
    assert call(make_pack(url, security=security, verify=False), ANN)[0] == "GroupsRetrieved"


@pytest.mark.parametrize("seconds", [20.0, 9.5])
def test_a_time_limit_in_parts_of_seconds(
    ldap_server: LdapServer, make_pack: MakePack, call: Call, seconds: float
) -> None:
    """A setting of 20 becomes 20.0, of which ldap3 made no timeout of a socket."""
    pack = make_pack(f"ldap://127.0.0.1:{ldap_server.port}", timeout_seconds=seconds)
    assert call(pack, ANN)[0] == "GroupsRetrieved"
    assert health(pack).healthy


def test_a_missing_ca_file(
    ldap_server: LdapServer, make_pack: MakePack, call: Call, tmp_path: Any
) -> None:
    url = f"ldaps://localhost:{ldap_server.tls_port}"
    name, payload = call(make_pack(url, ca_file=str(tmp_path / "gone")), ANN)
    assert name == "GroupsRetrievalError"
    assert "No such file" in payload["error"]


@pytest.mark.parametrize(
    "change", [{"bind_password": "wrong-secret"}, {"bind_username": f"cn=x,{BASE}"}]
)
def test_wrong_credentials(
    ldap_server: LdapServer, make_pack: MakePack, call: Call, change: dict[str, str]
) -> None:
    pack = make_pack(f"127.0.0.1:{ldap_server.port}", **change)
    expected = {"username": "ann", "error": "Cannot bind to LDAP: invalidCredentials"}
    assert call(pack, ANN) == ("GroupsRetrievalError", expected)
    url = f"127.0.0.1:{ldap_server.port}"
    assert health(pack) == Health(False, f"{url}: Cannot bind to LDAP: invalidCredentials")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"base_dn": "dc=other"}, "LDAP group error: noSuchObject"),
        ({"base_dn": "nonsense"}, "LDAP group error: invalidDNSyntax invalid DN"),
        ({"search_filter": "(uid={username}"}, "LDAP group error: LDAPInvalidFilterError: "),
    ],
)
def test_settings_that_the_directory_refuses(
    ldap_server: LdapServer, make_pack: MakePack, call: Call, change: dict[str, str], error: str
) -> None:
    pack = make_pack(f"127.0.0.1:{ldap_server.port}", **change)
    name, payload = call(pack, ANN)
    assert (name, payload["error"][: len(error)]) == ("GroupsRetrievalError", error)


def test_health_of_another_base(ldap_server: LdapServer, make_pack: MakePack) -> None:
    pack = make_pack(f"127.0.0.1:{ldap_server.port}", base_dn="dc=other")
    expected = f"127.0.0.1:{ldap_server.port}: dc=other: noSuchObject"
    assert health(pack) == Health(False, expected)


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize("kind", BAD)
def test_servers_that_misbehave(make_pack: MakePack, call: Call, kind: str, scheme: str) -> None:
    limit = 0.3 if kind in NEEDING_PATIENCE else 10.0
    with bad_server(BAD[kind]) as port:
        pack = make_pack(f"{scheme}://127.0.0.1:{port}", timeout_seconds=limit)
        name, payload = call(pack, ANN)
        assert (name, payload["username"]) == ("GroupsRetrievalError", "ann")
        assert payload["error"].startswith("Cannot ")
        is_over = payload["error"].endswith(", no end after 0.3 s (timeout_seconds)")
        if (kind, scheme) != ("drips", "ldaps"):  # its first bytes are not TLS, if they are in time
            assert is_over == (kind in NEEDING_PATIENCE)
        assert not health(pack).healthy


@pytest.mark.parametrize("kind", NEVER_ENDING)
def test_searches_that_never_end(
    monkeypatch: pytest.MonkeyPatch, make_pack: MakePack, call: Call, kind: str
) -> None:
    """They end by the bound, of which little more is sent; a lower one is reached sooner."""
    monkeypatch.setattr(directory, "MOST_ANSWER_BYTES", 100_000)
    sent = BytesSent()
    with bad_server(after_the_bind(sent.counted(NEVER_ENDING[kind]))) as port:
        pack = make_pack(f"127.0.0.1:{port}", timeout_seconds=PATIENCE_SECONDS)
        name, payload = call(pack, ANN)
    assert (name, payload["username"]) == ("GroupsRetrievalError", "ann")
    assert payload["error"].startswith("LDAP group error: ")
    assert "more than 100000 bytes" in payload["error"]
    assert sent.total < UNREAD_BYTES


def test_a_search_whose_answer_drips(make_pack: MakePack, call: Call) -> None:
    with bad_server(after_the_bind(drips)) as port:
        name, payload = call(make_pack(f"127.0.0.1:{port}", timeout_seconds=0.5), ANN)
    assert name == "GroupsRetrievalError"
    assert payload["error"].endswith(", no end after 0.5 s (timeout_seconds)")


@pytest.mark.parametrize("kind", REFUSED)
def test_searches_with_a_hostile_answer(make_pack: MakePack, call: Call, kind: str) -> None:
    with bad_server(after_the_bind(REFUSED[kind])) as port:
        pack = make_pack(f"127.0.0.1:{port}", timeout_seconds=PATIENCE_SECONDS)
        name, payload = call(pack, ANN)
    assert (name, payload["username"]) == ("GroupsRetrievalError", "ann")
    assert payload["error"].startswith("LDAP group error: ")
    assert len(payload["error"]) < 700


@pytest.mark.parametrize("answer", MANY.values(), ids=MANY)
def test_entries_of_many_parts(make_pack: MakePack, call: Call, answer: Answer) -> None:
    with bad_server(after_the_bind(answer)) as port:
        pack = make_pack(f"127.0.0.1:{port}", timeout_seconds=PATIENCE_SECONDS)
        assert call(pack, ANN) == ("GroupsRetrieved", {"username": "ann"})


@pytest.mark.parametrize(
    "answers",
    [
        lambda url: [ber(0x73, ber(4, url)), DONE],
        lambda url: [ber(0x65, b"\x0a\x01\x0a", ber(4), ber(4), ber(0xA3, ber(4, url)))],
    ],
    ids=["a reference", "a referral"],
)
def test_a_directory_cannot_send_the_pack_elsewhere(
    make_pack: MakePack, call: Call, answers: Callable[[bytes], list[bytes]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"ldap://127.0.0.1:{other.getsockname()[1]}/dc=x".encode()
        with bad_server(after_the_bind(says(*answers(url)))) as port:
            call(make_pack(f"127.0.0.1:{port}"), ANN)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_values_that_are_not_utf_8(make_pack: MakePack, call: Call) -> None:
    answer = says(entry({b"memberOf": [b"cn=a\xff,ou=groups", GROUP]}, b"uid=\xff"), DONE)
    with bad_server(after_the_bind(answer)) as port:
        name, payload = call(make_pack(f"127.0.0.1:{port}"), ANN)
    assert (name, payload["usergroups"]) == ("GroupsRetrieved", ["a\ufffd", "admins"])


@pytest.mark.parametrize(
    ("code", "word"),
    [(3, "timeLimitExceeded"), (4, "sizeLimitExceeded"), (10, "referral"), (14, "saslBindInProg")],
)
def test_a_part_of_an_answer_is_none(make_pack: MakePack, call: Call, code: int, word: str) -> None:
    """Half of the groups must not look like all of them."""
    done = ber(0x65, bytes([10, 1, code]), ber(4), ber(4, b"see above"))
    with bad_server(after_the_bind(says(entry({b"memberOf": [GROUP]}), done))) as port:
        name, payload = call(make_pack(f"127.0.0.1:{port}"), ANN)
    assert name == "GroupsRetrievalError"
    assert payload["error"].startswith(f"LDAP group error: {word}")
    assert payload["error"].endswith(" see above")


def test_a_bind_that_is_referred_elsewhere_is_none(make_pack: MakePack, call: Call) -> None:
    referred = ber(0x61, b"\x0a\x01\x0a", ber(4), ber(4))
    with bad_server(after_the_bind(says(DONE), bound=referred)) as port:
        _, payload = call(make_pack(f"127.0.0.1:{port}"), ANN)
    assert payload["error"] == "Cannot bind to LDAP: referral"


def test_bytes_that_are_not_ldap_are_told_so(make_pack: MakePack, call: Call) -> None:
    with bad_server(HTTP["HTML"]) as port:
        _, payload = call(make_pack(f"127.0.0.1:{port}"), ANN)
    assert payload["error"].startswith("Cannot bind to LDAP: the answer is not LDAP: ")


def _refuses_at_length(connection: socket.socket, over: threading.Event) -> None:
    """A bind is answered with invalidCredentials and the password; its id is that of the bind."""
    request = connection.recv(65536)
    number = request[2 : 4 + request[3]]  # ldap3 counts on in a process: it may have many bytes
    words = f"no: {PASSWORD}, ".encode() + b"x" * 30_000
    told = b"\x0a\x01\x31\x04\x00\x04\x82" + len(words).to_bytes(2, "big") + words
    answer = number + b"\x61\x82" + len(told).to_bytes(2, "big") + told
    connection.sendall(b"\x30\x82" + len(answer).to_bytes(2, "big") + answer)
    over.wait()


def test_the_directory_repeats_the_password_at_length(make_pack: MakePack, call: Call) -> None:
    with bad_server(_refuses_at_length) as port:
        name, payload = call(make_pack(f"127.0.0.1:{port}"), ANN)
    assert name == "GroupsRetrievalError"
    assert payload["error"].startswith("Cannot bind to LDAP: invalidCredentials no: ***, xxx")
    assert len(payload["error"]) < 1000


def test_nobody_listens(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(f"127.0.0.1:{closed_port()}")
    name, payload = call(pack, ANN)
    assert name == "GroupsRetrievalError"
    assert payload["error"].startswith("Cannot connect to LDAP: LDAPSocketOpenError: ")
    assert not health(pack).healthy


ENVIRONMENT = {
    "LDAP_URL": "ldap:389",
    "BIND_USERNAME": "cn=bot",
    "BIND_PASSWORD": "secret",
    "BASE_DN": "dc=x",
    "SEARCH_FILTER": "(uid={username})",
    "GROUP_ATTRIBUTE": "cn",
    "ATTRIBUTES": "memberOf, isMemberOf",
}


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    found = LdapSettings().completed(ENVIRONMENT)
    assert found == LdapSettings(
        "ldap:389", "cn=bot", "secret", "dc=x", "(uid={username})", ("memberOf", "isMemberOf"),
        "cn", timeout_seconds=20,
    )  # fmt: skip
    assert found.completed({}) == found
    found = LdapSettings().completed(ENVIRONMENT | {"SEARCH_TIMEOUT_IN_SECONDS": "7\r"})
    assert found.timeout_seconds == 7
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert LdapPack(LdapSettings()).flyte_pack().name == "ldap"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ldap.example.com:1389", ("ldap", "ldap.example.com", 1389)),
        ("ldap.example.com", ("ldap", "ldap.example.com", 389)),
        ("LDAPS://[::1]/", ("ldaps", "::1", 636)),
    ],
)
def test_urls(url: str, address: tuple[str, str, int]) -> None:
    assert LdapSettings(url).address() == address


@pytest.mark.parametrize(
    "url", ["", "http://x", "ldap://x/dc=y", "ldap://u:p@x", "x:0", "x:y", "ldap://x:99999", "[x"]
)
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"^url: found .*, expected one like 'ldap.example.com:389'"
    ):
        LdapSettings(url).address()


@pytest.mark.parametrize(
    ("settings", "environ", "text"),
    [
        (
            {},
            {"BASE_DN": "", "LDAP_URL": ""},
            (
                "url: missing; set it in the pack's settings or as LDAP_URL; "
                "base_dn: missing; set it in the pack's settings or as BASE_DN"
            ),
        ),
        ({}, {"ATTRIBUTES": " ,"}, "attributes: found ' ,', expected names"),
        ({"search_filter": "(a=b)"}, {}, "search_filter: found '(a=b)', expected {username} in it"),
        ({"timeout_seconds": 0}, {}, "timeout_seconds: found 0, expected more than 0"),
        (
            {},
            {"SEARCH_TIMEOUT_IN_SECONDS": "1s"},
            "SEARCH_TIMEOUT_IN_SECONDS: found '1s', expected",
        ),
        (
            {"url": "ldaps://x", "security": "starttls"},
            {},
            "security: found 'starttls', expected 'none', because ldaps:// has TLS",
        ),
    ],
)
def test_settings_that_make_no_sense(
    settings: dict[str, Any], environ: dict[str, str], text: str
) -> None:
    with pytest.raises(ValueError) as raised:
        LdapPack(LdapSettings(**settings), ENVIRONMENT | environ)
    assert str(raised.value).startswith(text)


def test_the_password_is_never_shown() -> None:
    assert PASSWORD not in repr(LdapSettings(bind_password=PASSWORD))
