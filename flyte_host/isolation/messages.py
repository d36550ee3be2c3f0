"""What the host and a plugin in a process of its own say to each other, and how it travels.

Owns the messages and their frames: four bytes of length, then MessagePack. Must not know who sends
one nor what becomes of it. JSON of flyte, of handlers and of checks travels as bytes, unread.
"""

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from flyte_host.model import Action, Command, EventDef, PackDef

LARGEST_FRAME_BYTES = 128_000_000
"""Far more than the largest payload; a longer frame is no message of ours."""


NOBODYS = -1
"""The handle of a command that another plugin gave to the pack."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """What travels; a ``number`` ties an answer to what was asked."""


class CommandText(msgspec.Struct, frozen=True):
    """A command without its handler, which the child knows by ``handle``."""

    handle: int
    name: str
    output_events: list[EventDef]
    help_url: str | None
    timeout_seconds: float | None
    idempotent: bool

    @classmethod
    def of(cls, command: Command, handle: int) -> "CommandText":
        return cls(
            handle,
            command.name,
            list(command.output_events),
            command.help_url,
            command.timeout_seconds,
            command.idempotent,
        )

    def command(self, handler: Any) -> Command:
        """The command again, with ``handler`` for its own."""
        return Command(
            self.name,
            handler,
            self.output_events,
            self.help_url,
            self.timeout_seconds,
            self.idempotent,
        )


class PackText(msgspec.Struct, frozen=True):
    """A pack without its handlers."""

    name: str
    help_url: str | None
    labels: dict[str, str]
    event_defs: list[EventDef]
    commands: list[CommandText]

    @classmethod
    def of(cls, pack: PackDef, commands: Iterable[CommandText]) -> "PackText":
        return cls(
            pack.name, pack.help_url, dict(pack.labels), list(pack.event_defs), list(commands)
        )


class CheckText(msgspec.Struct, frozen=True):
    """A health check without its function, which the child knows by ``handle``."""

    handle: int
    name: str
    critical: bool


# From the host to the child


class Begin(Message, frozen=True):
    """The first message: which plugin, with what. Answered by :class:`Loaded`.

    ``settings`` are pickled, since TOML has dates, infinities and numbers of any size.
    ``limit_seconds`` is what an import, a constructor or a hook may take; ``level`` is logging's.
    """

    number: int
    pack_key: str
    plugin: str
    target: str
    settings: bytes
    search_path: list[str]
    level: int
    limit_seconds: float
    check_seconds: float
    memory_limit_mb: int | None


class Ask(Message, frozen=True):
    """A hook that describes the pack. Answered by :class:`Described`."""

    number: int
    hook: str
    pack: PackText | None


class Run(Message, frozen=True):
    """Call a command's handler. Answered by :class:`Returned`."""

    number: int
    handle: int
    input: bytes
    action: Action


class Check(Message, frozen=True):
    """Call a health check. Answered by :class:`Checked`."""

    number: int
    handle: int


class Observe(Message, frozen=True):
    """Call ``flyte_observe``. Answered by :class:`Observed` when it returns."""

    number: int
    pack: PackText


class Stop(Message, frozen=True):
    """Observers shall return."""


class Emitted(Message, frozen=True):
    """What became of an :class:`Emit`: it is on disk, or there is a problem."""

    number: int
    problem: str = ""


ToChild = Begin | Ask | Run | Check | Observe | Stop | Emitted

# From the child to the host


class Loaded(Message, frozen=True):
    """The plugin is there and implements these hooks."""

    number: int
    hooks: list[str]


class Described(Message, frozen=True):
    """What a hook answered; of the fields, those that the hook is about."""

    number: int
    pack: PackText | None = None
    commands: list[CommandText] = []
    event_defs: list[EventDef] = []
    checks: list[CheckText] = []


class Returned(Message, frozen=True):
    """A handler's event, its payload as JSON."""

    number: int
    event: str
    payload: bytes


class Checked(Message, frozen=True):
    """A health check's answer, its status as JSON."""

    number: int
    healthy: bool
    status: bytes


class Observed(Message, frozen=True):
    """``flyte_observe`` returned."""

    number: int


class Failed(Message, frozen=True):
    """There is no answer, and this sentence says why; of a handler, the whole words of its FATAL.

    ``timed_out``: the handler ended after its time-out.
    """

    number: int
    problem: str
    timed_out: bool = False


class Late(Message, frozen=True):
    """A handler runs on past its time-out, at ``place``; its answer comes when it ends."""

    number: int
    place: str


class Emit(Message, frozen=True):
    """An event for the journal, raised by the observer that was asked by ``observer``."""

    number: int
    observer: int
    event: str
    payload: bytes


class Logged(Message, frozen=True):
    """A log record of the child; ``traceback`` is empty without an exception."""

    logger: str
    level: int
    text: str
    traceback: str
    fields: dict[str, str]


Answer = Loaded | Described | Returned | Checked | Observed | Failed
ToHost = Answer | Late | Emit | Logged


class BadFrame(Exception):
    """What came is no message; nothing after it can be understood either."""


class Channel:
    """One end of the connection; any thread may send, one reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._sending = threading.Lock()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ToChild | ToHost)

    def send(self, message: Message) -> None:
        """Raises OSError when the other end is gone, UnicodeEncodeError for a lone surrogate."""
        body = self._encoder.encode(message)
        with self._sending:
            self._connection.sendall(len(body).to_bytes(4, "big") + body)

    def __iter__(self) -> Iterator[ToChild | ToHost]:
        """What the other end sends, until it is gone; raises BadFrame."""
        while len(head := self._read(4)) == 4:
            length = int.from_bytes(head, "big")
            if length > LARGEST_FRAME_BYTES:
                raise BadFrame(f"found a frame of {length:,} bytes")
            body = self._read(length)
            if len(body) < length:
                return
            try:
                yield self._decoder.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise BadFrame(f"found no message: {error}") from error

    def close(self) -> None:
        """Hang up; the other end reads the end, and a send that waits ends here."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end did so first
            return

    def release(self) -> None:
        """Give the descriptor back, once nobody reads any more."""
        self._reader.close()
        self._connection.close()

    def _read(self, length: int) -> bytes:
        try:
            return self._reader.read(length)
        except OSError:  # reset: the other end was killed
            return b""
