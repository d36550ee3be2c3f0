"""How two ends of a channel read each other's bytes."""

import socket
from collections.abc import Iterator

import pytest

from flyte_host.isolation import messages as say
from flyte_host.isolation.messages import LARGEST_FRAME_BYTES, BadFrame, Channel

Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A channel, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def test_messages_arrive_in_order_and_end_with_the_connection(ends: Ends) -> None:
    channel, theirs = ends
    other = Channel(theirs)
    sent = [
        (1, say.RequestFailed("é" * 1000)),
        (2, say.HandlerLate("")),
        (3, say.HandlerReturned("E", b"\x00\xff")),
    ]
    for number, message in sent:
        other.send(number, message)
    other.stop()
    assert list(channel) == sent
    other.close()


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


NESTED = framed(b"\x92\1\x82\xa4type\xafHandlerReturned\xa4more" + b"\x91" * 100_000)
"""A message with a field that this version does not know: lists in lists."""


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"\0\0\0\2{}", "it sent something that is not a message: "),
        (b"\0\0\0\0", "it sent something that is not a message: "),
        (b"\0\0\0\2\x92\1", "it sent something that is not a message: "),
        (NESTED, "it sent something that is not a message: maximum recursion depth"),
        ((LARGEST_FRAME_BYTES + 1).to_bytes(4, "big"), "it sent a frame of 128,000,001 bytes"),
    ],
)
def test_bytes_that_are_not_a_message_are_named(ends: Ends, frame: bytes, words: str) -> None:
    channel, theirs = ends
    theirs.sendall(frame)
    with pytest.raises(BadFrame, match=words):
        next(iter(channel))


@pytest.mark.parametrize("cut", [b"", b"\0\0", b"\0\0\0\5abc"])
def test_a_frame_that_is_cut_is_the_end(ends: Ends, cut: bytes) -> None:
    channel, theirs = ends
    theirs.sendall(cut)
    theirs.shutdown(socket.SHUT_WR)
    assert list(channel) == []


def test_a_reset_is_the_end(ends: Ends) -> None:
    channel, theirs = ends
    channel.send(
        say.UNANSWERED, say.StopObservers()
    )  # what the other end leaves unread resets the connection
    theirs.close()
    assert list(channel) == []


def test_a_text_that_cannot_travel_is_refused_before_it_is_sent(ends: Ends) -> None:
    channel, theirs = ends
    with pytest.raises(UnicodeEncodeError):
        channel.send(1, say.RequestFailed("\ud800"))
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_nothing_can_be_sent_to_an_end_that_is_gone(ends: Ends) -> None:
    channel, theirs = ends
    theirs.close()
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send(say.UNANSWERED, say.StopObservers())
