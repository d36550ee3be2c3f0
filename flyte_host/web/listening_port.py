"""Opens the port of a server.

Must not know what is served there: ``check`` opens ports without loading a web server.
"""

import socket

from flyte_host.errors import FlyteHostError

SEND_BYTES = 128 * 1024
"""How much of each connection's answers the system buffers; Linux doubles it."""


def open_port(listen: tuple[str, int], name: str) -> socket.socket:
    """Listen at an address; raises FlyteHostError."""
    host, port = listen
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server(listen, family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise FlyteHostError(
            f"{name}: cannot listen on {host}:{port}: {reason}; "
            "choose another address, or stop what uses it"
        ) from error
    # Connections inherit it. Without it, the second part of an answer waits until the client has
    # acknowledged the first, which takes 40 ms; asyncio sets it only on sockets that it made.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # By default, the system buffers megabytes of an answer that a client does not read.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    return opened
