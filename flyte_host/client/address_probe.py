"""Finds out what answers at flyte's address, for a URL that is almost right.

Owns a look at a port with a bare request, and the words for what answered. Must not know tokens.
"""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

PROBE_SECONDS = 2.0
_REQUEST = b"GET / HTTP/1.0\r\n\r\n"
_KEPT_BYTES = 2000


def why_wrong_scheme(url: str, *, seconds: float = PROBE_SECONDS) -> str:
    """Why the scheme of ``url`` cannot be right; empty if it may be, or nothing answers."""
    parts = urlsplit(url)
    if not parts.hostname:
        return ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    answer = _ask(parts.hostname, port, seconds)
    # A TLS server answers a bare request with an alert, with 400, or not at all.
    wants_tls = not answer.startswith(b"HTTP/") or b" 400 " in answer.partition(b"\r\n")[0] + b" "
    if parts.scheme == "https" and not wants_tls:
        return f"https at a port that speaks http: {_server(answer)}; write http://"
    if parts.scheme == "http" and (answer[:1] == b"\x15" or b"HTTPS" in answer):
        return "http at a port that speaks https; write https://"
    return ""


def _ask(host: str, port: int, seconds: float) -> bytes:
    answer = b""
    with suppress(OSError), socket.create_connection((host, port), seconds) as connection:
        connection.settimeout(seconds)
        connection.sendall(_REQUEST)
        while len(answer) < _KEPT_BYTES and (more := connection.recv(_KEPT_BYTES)):
            answer += more
    return answer


def _server(answer: bytes) -> str:
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("server:")]
    return f"{lines[0]} of {names[0]}" if names else lines[0]
