"""Makes sure that a process which a plugin forks from the host owns nothing of the host's.

Owns the claims on descriptors. The host's code never continues in such a child. Does not
know what the descriptors are for. A fork copies them all, locks and listening sockets too: a
child that kept them would keep ports and the journal from the next host.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DESCRIPTORS = Path("/proc/self/fd")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Claims:
    """What is the host's, and whether this process is a child of it."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.ports: set[int] = set()
        self.sockets: set[str] = set()
        self.descriptors: set[int] = set()
        self.connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.socket_numbers: dict[int, tuple[int, int]] = {}
        self.handlers: set[Callable[..., Any]] = set()
        self.in_child = False
        self.process_id = os.getpid()


class _Masks(threading.local):
    """The signal mask of each thread that is forking."""

    before: set[int | signal.Signals]


_masks = _Masks()
_claims = _Claims()


def own_file(path: Path) -> None:
    """The file, and those beside it whose names begin with its name."""
    _claims.in_child = False  # a host in a process that another host's plugin forked
    _claims.files.add(os.path.realpath(path))


def own_port(port: int) -> None:
    """The listening socket with this port, and the connections that it accepted."""
    _claims.ports.add(port)


def own_socket(path: Path) -> None:
    """The listening socket of the family AF_UNIX at ``path``."""
    _claims.sockets.add(str(path))


def own_descriptor(descriptor: int) -> None:
    """One descriptor, until :func:`disown_descriptor`."""
    _claims.descriptors.add(descriptor)


def disown_descriptor(descriptor: int) -> None:
    """Give up the claim: another descriptor may get its number."""
    _claims.descriptors.discard(descriptor)


def own_connection(connection: socket.socket) -> None:
    """Claim a connection that the host opened, while it lasts."""
    _claims.connections.add(connection)


def own_socket_number(descriptor: int) -> None:
    """Claim a socket that a library closes without a word, while the number is that socket's."""
    _claims.socket_numbers[descriptor] = _identity(descriptor)


def is_own_socket_number(descriptor: int) -> bool:
    """Whether the number is still that of the socket that was claimed."""
    try:
        return _claims.socket_numbers.get(descriptor) == _identity(descriptor)
    except OSError:  # it is closed
        return False


def own_signal_handler(handler: Callable[..., Any]) -> None:
    """A child that a plugin forks ends by signals like any process, without this handler."""
    _claims.handlers.add(handler)


def process_id() -> int:
    """What ``os.getpid`` returns, which asks the kernel each time."""
    return _claims.process_id


def check_not_in_child(what: str) -> None:
    """Raise RuntimeError in a child: it could only reach copies of the host's parts."""
    if _claims.in_child:
        raise RuntimeError(f"{what} does not work in a forked process: call it in the parent")


@contextmanager
def end_children() -> Iterator[None]:
    """Run plugin code; a child that it forked ends here, instead of going on as a second host."""
    try:
        yield
    except BaseException:
        if _claims.in_child:
            traceback.print_exc()
            _end(1)
        raise
    if _claims.in_child:
        _end(0)


async def end_children_of(awaitable: Awaitable[Any]) -> Any:
    """The same for plugin code that is awaited."""
    with end_children():
        return await awaitable


def _end(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(status)


def _hold_signals() -> None:
    """A signal that reaches the child before it has its own handlers would be lost."""
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _give_up_all() -> None:
    """There is something to give up if the parent is a host, or the process of a plugin."""
    _claims.process_id = os.getpid()
    _claims.in_child = _claims.in_child or bool(_claims.files or _claims.descriptors)
    if _claims.in_child:
        signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) in _claims.handlers:
            signal.signal(number, signal.SIG_DFL)
    for connection in list(_claims.connections):
        _leave(connection)
    for descriptor in _descriptors():
        if _is_owned(descriptor):
            with contextlib.suppress(OSError):
                os.close(descriptor)
    _claims.files.clear()
    _claims.descriptors.clear()
    _claims.connections.clear()
    _claims.socket_numbers.clear()
    _let_signals_in()


def _leave(connection: socket.socket) -> None:
    """Close the copy only: a shutdown, or TLS's farewell, would end the parent's connection too.

    The object lets go of its number, so that it cannot close what gets that number next.
    """
    descriptor = connection.detach()
    if descriptor >= 0:
        os.close(descriptor)


def _descriptors() -> list[int]:
    try:
        return [int(each.name) for each in DESCRIPTORS.iterdir()]
    except OSError:  # a system without /proc
        return [*_claims.descriptors, *_claims.socket_numbers]


def _is_owned(descriptor: int) -> bool:
    if descriptor in _claims.descriptors or is_own_socket_number(descriptor):
        return True
    try:
        target = str((DESCRIPTORS / str(descriptor)).readlink())
    except OSError:  # that of the listing itself
        return False
    if target.startswith("socket:"):
        return _is_owned_socket(descriptor)
    return any(target.startswith(path) for path in _claims.files)


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _is_owned_socket(descriptor: int) -> bool:
    connection = socket.socket(fileno=descriptor)
    try:
        name = connection.getsockname()
    except OSError:
        return False
    finally:
        connection.detach()
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        return name[1] in _claims.ports
    return isinstance(name, str) and name in _claims.sockets


os.register_at_fork(
    before=_hold_signals, after_in_parent=_let_signals_in, after_in_child=_give_up_all
)
