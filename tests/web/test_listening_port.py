"""The port of a server, before anything is served there."""

import socket

import pytest

from flyte_host.web.listening_port import open_port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_answer_in_parts_does_not_wait_for_the_client(host: str) -> None:
    with (
        open_port((host, 0), "a server") as listening,
        socket.create_connection(listening.getsockname()[:2]),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
