"""The RPC of a Serf agent: MessagePack over TCP, a header for each request and answer.

Owns the protocol, and how long an answer may take. Must not know flyte.
"""

import socket
import time
from collections.abc import Iterator
from threading import Event as ThreadEvent
from typing import Any, Self

import msgpack  # type: ignore[import-untyped]
from flyte_pack_kit import ServerWords

from flyte_pack_serf.settings import SerfSettings

_VERSION = 1
_CHUNK_BYTES = 16384
_LARGEST_MESSAGE_BYTES = 100_000
"""Serf's own limit for an event is 9 kB. What is in a message is built before it is checked."""
_MOST_PARTS = 100
"""Of a list or map in a message; an event has five."""
_LOOK_SECONDS = 0.5
"""How often a wait for events checks whether to stop."""


class SerfFailed(Exception):
    """The agent refused or failed; the text says why."""


class AgentConnection:
    """One connection, logged in; use as a context manager. Every method raises SerfFailed."""

    def __init__(self, settings: SerfSettings, limit_seconds: float = 0) -> None:
        self._settings = settings
        self._limit_seconds = limit_seconds or settings.timeout_seconds
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="replace",
            max_buffer_size=_LARGEST_MESSAGE_BYTES,
            max_array_len=_MOST_PARTS,
            max_map_len=_MOST_PARTS,
        )
        self._number = 0
        self._words = ServerWords(settings.rpc_auth_key)

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection(self._settings.address(), self._limit_seconds)
        except OSError as cause:
            raise self._failed(cause) from cause
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            self.call("handshake", {"Version": _VERSION})
            if self._settings.rpc_auth_key:
                self.call("auth", {"AuthKey": self._settings.rpc_auth_key})
        except SerfFailed:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, command: str, body: dict[str, Any] | None = None) -> None:
        """Send a request whose answer is a header only."""
        deadline = time.monotonic() + self._limit_seconds
        self._number += 1
        # Agents are older than the types that MessagePack has for texts and bytes since 2013.
        packer = msgpack.Packer(use_bin_type=False, unicode_errors="replace")
        request = packer.pack({"Command": command, "Seq": self._number})
        if body is not None:
            request += packer.pack(body)
        try:
            self._socket.settimeout(self._limit_seconds)
            self._socket.sendall(request)
        except OSError as cause:
            raise self._failed(cause) from cause
        self._expect_header(self._message(deadline))

    def user_events(self, stopping: ThreadEvent) -> Iterator[dict[str, Any]]:
        """After ``call("stream", …)``: each event as Serf sends it, until ``stopping`` is set."""
        while not stopping.is_set():
            header = self._next_message()
            if header is None:
                continue
            self._expect_header(header)
            body = self._message(time.monotonic() + self._limit_seconds)
            if not isinstance(body, dict):
                raise self._strange(body)
            yield body

    def _next_message(self) -> Any:
        """None if there is none yet."""
        try:
            return self._message(time.monotonic() + _LOOK_SECONDS)
        except _NotYet:
            return None

    def _message(self, deadline: float) -> Any:
        while True:
            try:
                return self._unpacker.unpack()
            except msgpack.OutOfData:
                self._receive(deadline)
            except (ValueError, msgpack.UnpackException) as cause:
                raise self._strange(f"{type(cause).__name__}: {cause}") from cause

    def _receive(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        try:
            # A timeout of 0 would not wait, but fail with another error.
            self._socket.settimeout(max(left, 0.001))
            content = self._socket.recv(_CHUNK_BYTES)
        except TimeoutError as cause:
            raise _NotYet(str(self._failed(cause))) from cause
        except OSError as cause:
            raise self._failed(cause) from cause
        if not content:
            raise SerfFailed(f"{self._settings.rpc_address} hung up")
        try:
            self._unpacker.feed(content)
        except msgpack.BufferFull as cause:
            raise self._strange("too much of it") from cause

    def _expect_header(self, header: Any) -> None:
        if not isinstance(header, dict) or "Error" not in header:
            raise self._strange(header)
        if header["Error"]:
            raise SerfFailed(self._words.show(as_text(header["Error"])))

    def _failed(self, cause: OSError) -> SerfFailed:
        return SerfFailed(f"{self._settings.rpc_address}: {type(cause).__name__}: {cause}")

    def _strange(self, found: Any) -> SerfFailed:
        told = self._words.show(as_text(found))[:100]
        return SerfFailed(f"{self._settings.rpc_address} is not a Serf agent: it says {told}")


def as_text(value: Any) -> str:
    """A value of a message as text. Agents send one as bytes or as text, by their version."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    try:
        return "" if value is None else str(value)
    except RecursionError:
        return "lists in lists, more than can be shown"


class _NotYet(SerfFailed):
    """The answer took too long."""
