"""Sentences for what goes wrong below HTTP.

Owns which of the nested errors of requests, urllib3, ssl and socket tells most, as one short
sentence: their own texts are full of object addresses. Must not know what was asked or of whom.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from socket import gaierror

import urllib3

NEVER_SENT = (
    ConnectionRefusedError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    # Other failures of TLS prove nothing: with TLS 1.3 flyte judges our certificate only when the
    # request is out.
    ssl.SSLCertVerificationError,
)

SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (gaierror, "the host name of {host} was not found: {why}"),
    (ConnectionRefusedError, "connection refused by {host}"),
    (urllib3.exceptions.NewConnectionError, "no connection to {host}: {why}"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection to {host} within {connect:g} s"),
    (ssl.SSLCertVerificationError, "certificate verify failed for {host}: {why}"),
    (ssl.SSLError, "TLS with {host} failed: {why}"),
    (TimeoutError, "no whole answer from {host} within {read:g} s"),
    (RemoteDisconnected, "{host} closed the connection without an answer"),
    (ConnectionResetError, "{host} reset the connection"),
    (IncompleteRead, "the answer of {host} broke off"),
    (urllib3.exceptions.IncompleteRead, "the answer of {host} broke off"),
    (HTTPException, "the answer of {host} is not HTTP"),
    (urllib3.exceptions.InvalidHeader, "the answer of {host} is not HTTP"),
)
"""For the first kind that is among the causes; the most telling kinds come first."""

BROKE_OFF = (
    RemoteDisconnected,
    ConnectionResetError,
    BrokenPipeError,
    IncompleteRead,
    urllib3.exceptions.IncompleteRead,
)
"""The other end, or something between, gave the connection up."""

WHY = ("verify_message", "reason", "strerror")
"""Where the root of an error keeps its plain words."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, in a sentence.

    ``may_have_arrived``: the request, in spite of it. ``broke_off``: there was a connection, and it
    was lost.
    """

    reason: str
    may_have_arrived: bool
    broke_off: bool


def explain(
    error: Exception, host: str, connect_seconds: float, read_seconds: float | None
) -> Failure:
    """What ``error`` says of the exchange with ``host``."""
    causes = list(_causes(error))
    root = causes[-1]
    why = next((str(w) for name in WHY if (w := getattr(root, name, None))), type(root).__name__)
    sentence = next(
        (text for kind, text in SENTENCES if any(isinstance(cause, kind) for cause in causes)),
        "the exchange with {host} failed: {why}",
    )
    reason = sentence.format(host=host, connect=connect_seconds, read=read_seconds or 0, why=why)
    return Failure(
        reason,
        may_have_arrived=not any(isinstance(cause, NEVER_SENT) for cause in causes),
        broke_off=any(isinstance(cause, BROKE_OFF) for cause in causes),
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it wraps, down to the root."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
