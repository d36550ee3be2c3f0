"""What the host and a plugin in its own process say to each other, and how it travels.

Owns the messages and their frames: four bytes of length, then MessagePack of ``[number, message]``.
A number ties an answer to its request. Knows neither senders nor receivers. JSON of flyte, handlers
and health checks travels as bytes, unread.
"""

import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

import msgspec

from flyte_host.model import Action, Command, EventDef, PackDef

LARGEST_FRAME_BYTES = 128_000_000
"""Far more than the largest payload: a longer frame cannot be one of our messages."""
READ_BYTES = 2**16
"""How much is read at once, if it is there: many small frames."""
MOST_WAITING = 64
"""How many frames may wait for the sending thread; threads that add more wait too."""
UNANSWERED = 0
"""The number of a message that nobody answers."""
FOREIGN_HANDLE = -1
"""The handle of a command that another plugin gave to the pack."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """What travels in a frame, besides its number."""


class Response(Message, frozen=True):
    """From the child: the one message that ends a request."""


class CommandText(msgspec.Struct, frozen=True):
    """A command without its handler, which the child knows by ``handle``.

    ``input_schema`` is a JSON Schema, ``description`` the docstring of the handler.
    """

    handle: int
    name: str
    output_events: list[EventDef]
    help_url: str | None
    timeout_seconds: float | None
    idempotent: bool
    input_schema: bytes
    description: str

    @classmethod
    def of(
        cls, command: Command, handle: int, input_schema: bytes = b"{}", description: str = ""
    ) -> "CommandText":
        return cls(
            handle,
            command.name,
            list(command.output_events),
            command.help_url,
            command.timeout_seconds,
            command.idempotent,
            input_schema,
            description,
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


class LoadPlugin(Message, frozen=True):
    """The first message: which plugin, with what. Answered by :class:`PluginLoaded`.

    ``settings`` are pickled, since TOML has dates, infinities and numbers of any size.
    ``limit_seconds`` limits an import, a constructor or a hook; ``level`` is logging's.
    """

    pack_key: str
    plugin: str
    target: str
    settings: bytes
    search_path: list[str]
    level: int
    limit_seconds: float
    check_seconds: float
    memory_limit_mb: int | None


class AskHook(Message, frozen=True):
    """Call a hook that describes the pack. Answered by :class:`HookAnswer`."""

    hook: str
    pack: PackText | None


class RunHandler(Message, frozen=True):
    """Call a command's handler. Answered by :class:`HandlerReturned`.

    Its log lines are ``about`` the action.
    """

    handle: int
    input: bytes
    action: Action
    about: dict[str, str]


class RunCheck(Message, frozen=True):
    """Call a health check. Answered by :class:`CheckReturned`."""

    handle: int


class RunObserver(Message, frozen=True):
    """Call ``flyte_observe``. Answered by :class:`ObserverReturned` when it returns."""

    pack: PackText


class StopObservers(Message, frozen=True):
    """Observers should return."""


class EventEmitted(Message, frozen=True):
    """Answers :class:`EmitEvent`: the event is on disk, or there is a problem."""

    problem: str = ""


ToChild = LoadPlugin | AskHook | RunHandler | RunCheck | RunObserver | StopObservers | EventEmitted

# From the child to the host


class PluginLoaded(Response, frozen=True):
    """The plugin is there and implements these hooks.

    ``settings_schema`` is the JSON Schema of its settings, or ``null`` if it takes none.
    """

    hooks: list[str]
    settings_schema: bytes


class HookAnswer(Response, frozen=True):
    """What a hook returned: of these fields, those that the hook is about."""

    pack: PackText | None = None
    commands: list[CommandText] = []
    event_defs: list[EventDef] = []
    checks: list[CheckText] = []


class HandlerReturned(Response, frozen=True):
    """A handler's event: its name, and the JSON document that flyte gets."""

    event: str
    body: bytes


class CheckReturned(Response, frozen=True):
    """A health check's answer, its status as JSON."""

    healthy: bool
    status: bytes


class ObserverReturned(Response, frozen=True):
    """``flyte_observe`` returned."""


class RequestFailed(Response, frozen=True):
    """There is no answer, and ``problem`` says why; for a handler, it is the text of its FATAL.

    ``timed_out``: the handler ended after its timeout.
    """

    problem: str
    timed_out: bool = False


class HandlerLate(Message, frozen=True):
    """A handler still runs after its timeout, at ``place``; its answer comes when it ends."""

    place: str


class EmitEvent(Message, frozen=True):
    """An event for the journal, from the observer that the request ``observer`` runs."""

    observer: int
    event: str
    body: bytes
    trace: str = ""


class LogLine(Message, frozen=True):
    """A log record of the child; ``traceback`` is empty without an exception."""

    logger: str
    level: int
    text: str
    traceback: str
    fields: dict[str, str]


ToHost = (
    PluginLoaded
    | HookAnswer
    | HandlerReturned
    | CheckReturned
    | ObserverReturned
    | RequestFailed
    | HandlerLate
    | EmitEvent
    | LogLine
)
Frame = tuple[int, ToChild | ToHost]


class BadFrame(Exception):
    """The bytes are not a message; nothing after them can be understood either."""


class Channel:
    """One end of the connection; any thread may send, one reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = cast("IO[bytes]", connection.makefile("rb", READ_BYTES))
        self._sending = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Frame)

    @property
    def descriptor(self) -> int:
        """The connection's."""
        return self._connection.fileno()

    def send(self, number: int, message: Message) -> None:
        """Send it, or leave it to the thread that is sending, which sends everything together.

        Raises OSError when the other end is gone, UnicodeEncodeError for a lone surrogate.
        """
        body = self._encoder.encode((number, message))
        self._waiting.append(len(body).to_bytes(4, "big") + body)
        # Look again after the release: frames that came meanwhile were left to this thread.
        while self._waiting and self._sending.acquire(len(self._waiting) > MOST_WAITING):
            try:
                self._send_waiting()
            finally:
                self._sending.release()

    def _send_waiting(self) -> None:
        frames = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._connection.sendall(b"".join(frames))

    def __iter__(self) -> Iterator[Frame]:
        """What the other end sends, until it is gone; raises BadFrame."""
        while len(head := self._read(4)) == 4:
            length = int.from_bytes(head, "big")
            if length > LARGEST_FRAME_BYTES:
                raise BadFrame(f"it sent a frame of {length:,} bytes")
            body = self._read(length)
            if len(body) < length:
                return
            try:
                yield self._decoder.decode(body)
            except (ValueError, RecursionError) as error:
                raise BadFrame(f"it sent something that is not a message: {error}") from error

    def stop(self) -> None:
        """Hang up: the other end sees the end of the stream, and a waiting send here fails."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end did so first
            return

    def close(self) -> None:
        """Give the descriptor back, once nobody reads."""
        self._reader.close()
        self._connection.close()

    def _read(self, length: int) -> bytes:
        try:
            return self._reader.read(length)
        except OSError:  # reset: the other end was killed
            return b""
