"""Answers questions over a Unix socket that only its owner can open, one JSON line each.

Owns the socket's path and life. Must not know the questions; ``controls`` answers them.
"""

import errno
import logging
import math
import os
import socket
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyte_host.errors import FlyteHostError
from flyte_host.json_decoding import decode_json
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

PATH_BYTES = 107
"""The kernel's limit for the path of a Unix socket."""
QUESTION_BYTES = 64 * 1024
QUESTION_PIECES = 8
"""A question comes in one or two pieces; a client that drips must not block the others."""
CLIENT_SECONDS = 2.0
"""How long one client may keep the others waiting."""
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 0.5
"""The pause before another try when the socket fails."""

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ControlError(FlyteHostError):
    """The socket cannot be used, or the host refused; the text says why and what to do."""


def socket_of(state: Path) -> Path:
    """The socket of the host with this journal."""
    return state.with_name(f"{state.name}.sock")


class ControlServer:
    """Answers one question after another, in one thread, until :meth:`stop`."""

    def __init__(self, path: Path, answer: Answer, watch: ThreadWatch | None = None) -> None:
        self._path = path
        self._answer = answer
        self._socket = _listening(path)
        self._stopped = threading.Event()
        watch = watch or ThreadWatch()
        self.thread = watch.make_thread(self._run, "control", runs_again=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop answering; a second call does nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._path.unlink(missing_ok=True)
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, which close() does not
        self._socket.close()

    def _run(self) -> None:
        is_deaf = False
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError as error:  # it was closed, or the process has no descriptor left
                if not (is_deaf or self._stopped.is_set()):
                    log.error(
                        "the control socket %s failed, flyte-host ctl does not work for now: %s",
                        self._path,
                        error,
                    )
                is_deaf = True
                self._stopped.wait(PAUSE_SECONDS)
                continue
            is_deaf = False
            with connection:
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(CLIENT_SECONDS)
        try:
            answer = self._answer_to(_line(connection, QUESTION_BYTES, QUESTION_PIECES))
            connection.sendall(msgspec.json.encode(answer) + b"\n")
        except OSError as error:
            log.debug("a client of the control socket went away: %s", error)

    def _answer_to(self, line: bytes) -> Mapping[str, Any]:
        try:
            question = decode_json(line, dict[str, Any])
        except ValueError:
            return {"error": "expected a line with one JSON object"}
        try:
            return self._answer(question)
        except FlyteHostError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("could not answer a request on the control socket")
            return {"error": f"the host failed: {error}"}


def ask(path: Path, question: Mapping[str, Any]) -> Any:
    """Ask the host at the other end; raises ControlError."""
    address = _address(path)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(address)
            connection.sendall(msgspec.json.encode(question) + b"\n")
            line = _line(connection)
        except OSError as error:
            raise ControlError(_no_answer(path, error)) from error
    try:
        answer = decode_json(line, dict[str, Any])
    except ValueError:
        raise ControlError(f"{path}: the host ended before it answered") from None
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer


def _no_answer(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return (
            f"no host answers at {path}: none runs with this [host] state, or it is still loading "
            "its plugins"
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return f"{path}: the host ended before it answered"
    if isinstance(error, PermissionError):
        return f"{path}: {error.strerror}; only the user that the host runs as may control it"
    return f"{path}: {error.strerror or error}"


def _address(path: Path) -> str:
    length = len(os.fsencode(path))
    if length > PATH_BYTES:
        raise ControlError(
            f"control socket {path}: its path has {length} bytes, a socket's has at most "
            f"{PATH_BYTES}; give [host] state a shorter path"
        )
    return str(path)


def _listening(path: Path) -> socket.socket:
    address = _address(path)
    listening = socket.socket(socket.AF_UNIX)
    listening.settimeout(None)  # a plugin may have set another default
    try:
        _remove_stale(path)
        listening.bind(address)
        path.chmod(0o600)  # no client can come first: it does not listen yet
        listening.listen()
    except OSError as error:
        listening.close()
        raise ControlError(f"control socket {path}: {error.strerror}") from error
    except ControlError:
        listening.close()
        raise
    return listening


def _remove_stale(path: Path) -> None:
    """Remove a dead host's socket, but nothing that is in use or is not a socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlError(f"control socket {path}: a file has this name; remove it")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CLIENT_SECONDS)
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise ControlError(f"control socket {path}: another process listens there")
    path.unlink()


def _line(
    connection: socket.socket, most_bytes: float = math.inf, most_pieces: float = math.inf
) -> bytes:
    """Read up to the first newline, the end or a limit."""
    received = b""
    count = 0
    while b"\n" not in received and len(received) < most_bytes and count < most_pieces:
        count += 1
        if not (chunk := connection.recv(QUESTION_BYTES)):
            break
        received += chunk
    return received.partition(b"\n")[0]
