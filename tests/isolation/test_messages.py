"""What two ends of a channel make of each other's bytes."""

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
    channel.release()


def test_messages_arrive_in_order_and_end_with_the_connection(ends: Ends) -> None:
    channel, theirs = ends
    other = Channel(theirs)
    sent = [say.Failed(1, "é" * 1000), say.Late(2, ""), say.Returned(3, "E", b"\x00\xff")]
    for each in sent:
        other.send(each)
    other.close()
    assert list(channel) == sent
    other.release()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"\0\0\0\2{}", "found no message: "),
        (b"\0\0\0\0", "found no message: "),
        ((LARGEST_FRAME_BYTES + 1).to_bytes(4, "big"), "found a frame of 128,000,001 bytes"),
    ],
)
def test_what_is_no_message_is_said(ends: Ends, frame: bytes, words: str) -> None:
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
    channel.send(say.Stop())  # what the other end leaves unread resets the connection
    theirs.close()
    assert list(channel) == []


def test_a_text_that_cannot_travel_is_refused_before_it_is_sent(ends: Ends) -> None:
    channel, theirs = ends
    with pytest.raises(UnicodeEncodeError):
        channel.send(say.Failed(1, "\ud800"))
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_nothing_can_be_sent_to_an_end_that_is_gone(ends: Ends) -> None:
    channel, theirs = ends
    theirs.close()
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send(say.Stop())
