"""The limit of a conversation, on real sockets."""

import socket
from collections.abc import Iterator

import pytest
from flyte_pack_kit import TimeLimit

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_silent_connection_is_cut_off(pair: Pair) -> None:
    with TimeLimit(0.01) as limit:
        limit.covers(lambda: pair[0])
        assert pair[0].recv(1) == b""
        assert limit.is_over
        assert limit.left_seconds() > 0


def test_a_connection_that_comes_too_late_is_cut_off_at_once(pair: Pair) -> None:
    with TimeLimit(0) as limit:
        limit.covers(lambda: pair[0])
        assert pair[1].recv(1) == b""


def test_a_connection_is_left_alone_once_the_conversation_has_ended(pair: Pair) -> None:
    with TimeLimit(60) as limit:
        limit.covers(lambda: pair[0])
        assert not limit.is_over
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


def test_there_may_be_no_socket_left_to_cut_off(pair: Pair) -> None:
    pair[0].close()
    with TimeLimit(0) as limit:
        for each in (None, pair[0]):
            limit.covers(lambda found=each: found)
    assert limit.is_over
