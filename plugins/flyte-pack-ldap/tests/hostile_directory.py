"""Directories that let the pack log in, and then answer its search with anything but entries."""

import itertools
import socket
import threading
from collections.abc import Callable

from tests.support.bad_servers import Treatment

Answer = Callable[[socket.socket, bytes, threading.Event], None]
"""Gets the connection, the encoded id of the search, and when the test is over."""


class BytesSent:
    """Counts what an answer sends."""

    def __init__(self) -> None:
        self.total = 0

    def counted(self, answer: Answer) -> Answer:
        def count(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
            answer(_CountedSocket(connection, self), asked, over)  # type: ignore[arg-type]

        return count


class _CountedSocket:
    def __init__(self, inner: socket.socket, sent: BytesSent) -> None:
        self._inner = inner
        self._sent = sent

    def sendall(self, content: bytes) -> None:
        self._inner.sendall(content)
        self._sent.total += len(content)

    def recv(self, size: int) -> bytes:
        return self._inner.recv(size)


SUCCESS = b"\x0a\x01\x00\x04\x00\x04\x00"
FLOOD_BYTES = 65536


def ber(tag: int, *parts: bytes) -> bytes:
    """Something of ASN.1 by its basic encoding rules."""
    content = b"".join(parts)
    return bytes([tag]) + _length(len(content)) + content


def _length(size: int) -> bytes:
    if size < 128:
        return bytes([size])
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(raw)]) + raw


def entry(attributes: dict[bytes, list[bytes]], dn: bytes = b"uid=ann,dc=example,dc=com") -> bytes:
    found = (
        ber(0x30, ber(4, name), ber(0x31, *(ber(4, value) for value in values)))
        for name, values in attributes.items()
    )
    return ber(0x64, ber(4, dn), ber(0x30, *found))


DONE = ber(0x65, SUCCESS)
GROUP = b"cn=admins,ou=groups,dc=example,dc=com"


BOUND = ber(0x61, SUCCESS)


def after_the_bind(answer: Answer, bound: bytes = BOUND) -> Treatment:
    """Let the pack log in, and answer its search so."""

    def treat(connection: socket.socket, over: threading.Event) -> None:
        request = connection.recv(65536)
        connection.sendall(ber(0x30, _id_of(request), bound))
        if request := connection.recv(65536):
            answer(connection, _id_of(request), over)
            while connection.recv(65536):
                pass

    return treat


def _id_of(request: bytes) -> bytes:
    """As it is encoded: ldap3 counts on in a process, so it may have many bytes."""
    start = 2 + (request[1] & 0x7F if request[1] & 0x80 else 0)
    return request[start : start + 2 + request[start + 1]]


def says(*operations: bytes, number: bytes = b"") -> Answer:
    """These, in turn, as answers to the search or to another number."""

    def answer(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
        connection.sendall(b"".join(ber(0x30, number or asked, each) for each in operations))

    return answer


def made_late(make: Callable[[], Answer]) -> Answer:
    """What takes long to make is made for the test that needs it."""

    def answer(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
        make()(connection, asked, over)

    return answer


def floods(operation: bytes) -> Answer:
    """The same endlessly, as fast as it is read."""

    def answer(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
        message = ber(0x30, asked, operation)
        while not over.is_set():
            connection.sendall(message * (FLOOD_BYTES // len(message) + 1))

    return answer


def announces(start: bytes) -> Answer:
    """The beginning of something large, and then endless filling."""

    def answer(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
        connection.sendall(start.replace(b"ID", asked))
        while not over.is_set():
            connection.sendall(b"\x04\x00" * (FLOOD_BYTES // 2))

    return answer


def drips(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
    """An entry, byte by byte."""
    for each in itertools.chain(b"\x30\x84\x00\x0f\x00\x00" + asked, itertools.repeat(0x64)):
        if over.wait(0.02):
            return
        connection.sendall(bytes([each]))


def asks_on(connection: socket.socket, asked: bytes, over: threading.Event) -> None:
    """Each answer has a part of the values, as Active Directory does, and there is no last one."""
    for first in itertools.count(step=2):
        name = f"memberOf;range={first}-{first + 1}".encode()
        connection.sendall(ber(0x30, asked, entry({name: [GROUP] * 2})) + ber(0x30, asked, DONE))
        request = connection.recv(65536)
        if not request:
            return
        asked = _id_of(request)


def nested(depth: int) -> bytes:
    """Sets in sets: each costs a decoder a level."""
    parts: list[bytes] = []
    size = 0
    for _ in range(depth):
        parts.append(b"\x31" + _length(size))
        size += len(parts[-1])
    return b"".join(reversed(parts))


NEVER_ENDING: dict[str, Answer] = {
    "endless entries": floods(entry({b"memberOf": [GROUP]})),
    "endless small entries": floods(entry({}, b"")),
    "endless references": floods(ber(0x73, ber(4, b"ldap://127.0.0.1:1/"))),
    "endless notices": floods(ber(0x79)),
    "a huge entry": announces(b"\x30\x84\x7f\xff\xff\xffID\x64\x84\x7f\xff\xff\xf0"),
    "a length of 126 bytes": announces(b"\x30\xfe" + b"\xff" * 126),
    "endless ranges": asks_on,
}
"""These end by the bound of what is read, or by the time limit."""

REFUSED: dict[str, Answer] = {
    "nested": made_late(lambda: says(ber(0x64, nested(5_000)), DONE)),
    "nested in an attribute": made_late(
        lambda: says(ber(0x64, ber(4, b""), ber(0x30, nested(100_000))), DONE)
    ),
    "another number": says(DONE, number=b"\x02\x01\x00"),
    "a number that is none": says(DONE, number=b"\x04\x01x"),
    "a wrong number": says(entry({}), number=b"\x02\x04\x7f\xff\xff\xff"),
    "an operation that is none": says(b"\x7f\x00"),
    "an answer to a bind": says(BOUND),
    "an entry of bytes": says(ber(0x64, b"\xff" * 99), DONE),
    "an entry without parts": says(ber(0x64), DONE),
    "attributes that are none": says(ber(0x64, ber(4, b"x"), ber(4, b"y")), DONE),
    "no end of contents": says(b"\x64\x80\x04\x00\x00\x00", DONE),
    "a result without parts": says(ber(0x65)),
    "a result that is not a number": says(ber(0x65, ber(4, b"x"), ber(4), ber(4))),
    "an unknown result": says(ber(0x65, b"\x0a\x01\x7f", ber(4), ber(4, b"\xff\xfe no"))),
    "a referral": says(
        ber(0x65, b"\x0a\x01\x0a", ber(4), ber(4), ber(0xA3, ber(4, b"ldap://127.0.0.1:1/")))
    ),
    "a control that is none": says(DONE + ber(0xA0, b"\xff\xff")),
}
"""Each is a failure at once."""

MANY: dict[str, Answer] = {
    "values": made_late(lambda: says(entry({b"memberOf": [b""] * 50_000}), DONE)),
    "attributes": made_late(
        lambda: says(entry({b"a%d" % each: [] for each in range(20_000)}), DONE)
    ),
    "entries": says(*[entry({})] * 10_000, DONE),
}
"""As many as fit are nothing to this user."""
