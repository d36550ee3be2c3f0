"""Socket mode: Slack's SDK over a websocket that the observer's own thread reads.

Owns the connection. It handles each frame before it reads the next: while the journal is slow,
Slack waits. The SDK's own clients read into a queue without a limit, and need half a minute to
notice a broken connection.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import cast

import websocket
from flyte_pack_kit import parse_json
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from websocket import ABNF

from flyte_pack_slack.bounded_websocket import BoundedWebSocket
from flyte_pack_slack.settings import SlackSettings
from flyte_pack_slack.slack_api import SlackApi, sdk_log

log = logging.getLogger(__name__)

Handle = Callable[[SocketModeRequest], bool]
"""Whether the envelope is done, so that Slack need not send it again."""

_LOOK_SECONDS = 0.5
"""How often the reader checks whether to stop."""

_LAST_WORDS_SECONDS = 0.2


class SocketDropped(Exception):
    """The connection is gone; the text says how."""


class SlackSocket(BaseSocketModeClient):
    """One connection at a time. Slack pings all the time: silence means that it broke."""

    def __init__(
        self,
        api: SlackApi,
        settings: SlackSettings,
        handle: Handle,
        *,
        silence_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.logger = sdk_log
        self.web_client = api.web
        self.app_token = settings.app_token
        self.message_listeners = []
        self.socket_mode_request_listeners = [self._hear]
        self.closed = False
        self._api = api
        self._settings = settings
        self._handle = handle
        self._silence_seconds = silence_seconds
        self._monotonic = monotonic
        self._socket: BoundedWebSocket | None = None
        self._read_from: BoundedWebSocket | None = None
        self._shall_renew = False

    def is_connected(self) -> bool:
        return self._socket is not None

    def issue_new_wss_url(self) -> str:
        return self._api.open_connection(self._settings.timeout_seconds)

    def connect(self) -> None:
        """Open a new connection; raises SlackFailed, OSError or WebSocketException."""
        url = self.issue_new_wss_url()
        tls = {"context": self._api.tls} if self._api.tls else {}
        opened = BoundedWebSocket(self._settings.timeout_seconds, self._monotonic, tls)
        opened.open(url)
        opened.settimeout(_LOOK_SECONDS)
        self._socket = opened

    def disconnect(self) -> None:
        if self._socket is not None:
            self._socket.shutdown()  # type: ignore[no-untyped-call]
            self._socket = None

    def send_message(self, message: str) -> None:
        """Acknowledge on the connection that the envelope came from, or on the newest."""
        target = self._read_from or self._socket
        if target is None:
            raise SocketDropped("there is no connection to acknowledge on")
        target.send(message)

    def run(self, stopping: threading.Event) -> None:
        """Handle what comes until ``stopping``; raises SocketDropped, SlackFailed, OSError."""
        heard_at = self._monotonic()
        while not stopping.is_set():
            if self._shall_renew:
                self._renew()
                heard_at = self._monotonic()
            assert self._socket is not None  # noqa: S101  connect() made one
            if self._read(self._socket):
                heard_at = self._monotonic()
            elif self._monotonic() - heard_at > self._silence_seconds:
                raise SocketDropped(f"Slack was silent for {self._silence_seconds:g} s")

    def _renew(self) -> None:
        """Open the next connection, since Slack announced the end of this one.

        Then read the rest of the old one.
        """
        self._shall_renew = False
        old = self._socket
        self.connect()
        assert old is not None  # noqa: S101  it asked to be renewed
        old.settimeout(_LAST_WORDS_SECONDS)
        try:
            while self._read(old):
                pass
        except SocketDropped:
            pass
        finally:
            self._shall_renew = False
            old.shutdown()  # type: ignore[no-untyped-call]

    def _read(self, source: BoundedWebSocket) -> bool:
        """Handle one frame; whether there was one. Raises SocketDropped."""
        try:
            opcode, frame = source.read_frame()
        except websocket.WebSocketTimeoutException:
            return False
        except (websocket.WebSocketException, OSError) as cause:
            raise SocketDropped(f"{type(cause).__name__}: {cause}") from cause
        if opcode == ABNF.OPCODE_CLOSE:
            raise SocketDropped("Slack closed the connection")
        if opcode == ABNF.OPCODE_TEXT:
            self._read_from = source
            self._take(cast("bytes", frame.data))
        return True

    def _take(self, data: bytes) -> None:
        try:
            message = parse_json(data)
        except ValueError as cause:
            log.warning("Slack sent something that is not JSON: %s", cause)
            return
        if not isinstance(message, dict):
            log.warning("Slack sent something that is not an object")
        elif message.get("type") == "disconnect":
            self._shall_renew = True
        else:
            self.run_message_listeners(message, "")

    def _hear(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        if self._handle(request):
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
