"""Raises the pack's events while the host runs, across dropped connections.

Owns when to connect again. Acknowledges an envelope once its events are in the journal, and raises
nothing for one that comes a second time.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from slack_sdk.socket_mode.request import SocketModeRequest
from websocket import WebSocketException

from flyte_host import Event
from flyte_pack_slack.settings import SlackSettings
from flyte_pack_slack.slack_api import SlackApi, SlackFailed, SlackTiming
from flyte_pack_slack.slack_events import SlackIdentity, SlackTranslator
from flyte_pack_slack.slack_socket import SlackSocket, SocketDropped

log = logging.getLogger(__name__)

Emit = Callable[[Event], None]

_FAILURES = (SocketDropped, SlackFailed, WebSocketException, OSError, ValueError)
"""ValueError: the address is invalid."""

_REMEMBERED = 20_000
_MOST_PAUSE_SECONDS = 60.0


class SlackObserver:
    """Connects, listens, and connects again."""

    def __init__(
        self,
        api: SlackApi,
        translator: SlackTranslator,
        settings: SlackSettings,
        timing: SlackTiming,
    ) -> None:
        self._api = api
        self._translator = translator
        self._settings = settings
        self._timing = timing
        self._identity = SlackIdentity()
        self._done: OrderedDict[str, None] = OrderedDict()
        self.problem = "not connected yet"

    def observe(self, emit: Emit, stopping: threading.Event) -> None:
        """Raise events until ``stopping``."""
        pause_seconds = self._timing.first_pause_seconds
        while not stopping.is_set():
            socket = self._socket(emit)
            try:
                self._identity = self._who_we_are()
                socket.connect()
                self.problem, pause_seconds = "", self._timing.first_pause_seconds
                socket.run(stopping)
            except _FAILURES as cause:
                self.problem = self._api.words.show(str(cause)) or type(cause).__name__
                log.warning(
                    "no events from Slack: %s; next try in %g s", self.problem, pause_seconds
                )
                stopping.wait(pause_seconds)
                pause_seconds = min(pause_seconds * 2, _MOST_PAUSE_SECONDS)
            finally:
                socket.disconnect()

    def _socket(self, emit: Emit) -> SlackSocket:
        def handle(request: SocketModeRequest) -> bool:
            return self._handle(request, emit)

        return SlackSocket(
            self._api, self._settings, handle, silence_seconds=self._timing.silence_seconds
        )

    def _who_we_are(self) -> SlackIdentity:
        found = self._api.call("auth.test")
        return SlackIdentity(str(found.get("user_id", "")), str(found.get("bot_id", "")))

    def _handle(self, request: SocketModeRequest, emit: Emit) -> bool:
        payload: dict[str, Any] = request.payload
        # Slack sends each try of an event in another envelope.
        key = str(payload.get("event_id") or request.envelope_id)
        if key in self._done:
            return True
        try:
            for event in self._translator.events(request.type, payload, self._identity):
                emit(event)
        except (ValueError, TypeError) as cause:  # it would fail each time that Slack sends it
            log.warning("cannot raise an event of Slack: %s", cause)
        except Exception:
            log.exception("an event of Slack is not in the journal; Slack will send it again")
            return False
        self._done[key] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        return True
