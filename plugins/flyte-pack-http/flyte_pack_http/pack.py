"""The Http pack: requests to any web service, and webhooks as events.

Owns what flyte and the operator see of it as a whole.
"""

import time
from collections.abc import Callable
from threading import Event as ThreadEvent

from flyte_host import Command, Event, EventDef, HealthCheck, PackDef, hookimpl
from flyte_host.web.limits import Limits
from flyte_pack_http.settings import HttpSettings
from flyte_pack_http.web_request import NoWebAnswer, WebRequest, WebSender
from flyte_pack_http.webhook_app import event_def
from flyte_pack_http.webhook_listener import WebhookListener

RESPONSE = EventDef("Response")
"""Payload: ``{method, url, status, headers, contentType, body, bodyBase64, json, seconds}``."""
REQUEST_FAILED = EventDef("RequestFailed")
"""Payload: that of ``Response``, with ``error``; ``status`` is 0 if there was no answer."""

_GRACE_SECONDS = 60
"""For what no time limit covers: a name lookup that hangs."""


class HttpPack:
    """Sends requests and receives webhooks.

    ``now`` is the time of day, ``limits`` what senders may take of the listener.
    """

    def __init__(
        self,
        settings: HttpSettings,
        now: Callable[[], float] = time.time,
        limits: Limits | None = None,
    ) -> None:
        self._settings = settings
        self._sender = WebSender(settings)
        self._webhooks = WebhookListener(settings, now, limits)

    @property
    def webhooks_url(self) -> str:
        """Where it listens; empty while it does not."""
        return self._webhooks.url

    @hookimpl
    def flyte_pack(self) -> PackDef:
        raised = {each.name: each for each in map(event_def, self._settings.webhooks.values())}
        request = Command(
            "Request",
            self._request,
            [RESPONSE, REQUEST_FAILED],
            timeout_seconds=self._settings.timeout_seconds + _GRACE_SECONDS,
        )
        return PackDef("Http", event_defs=list(raised.values()), commands=[request])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host frees no port, and its other packs are fine.
        if not self._settings.webhooks:
            return []
        return [HealthCheck("webhooks", self._webhooks.check, critical=False)]

    @hookimpl
    def flyte_observe(self, emit: Callable[[Event], None], stopping: ThreadEvent) -> None:
        if self._settings.webhooks:
            self._webhooks.serve(emit, stopping)
        else:
            stopping.wait()

    def _request(self, input: WebRequest) -> Event:
        asked = {"method": input.method.upper(), "url": input.url}
        try:
            answer = self._sender.send(input)
        except NoWebAnswer as cause:
            return REQUEST_FAILED(asked | _NOTHING | {"error": str(cause)})
        payload = asked | answer.payload()
        if answer.is_expected(input.expected_status):
            return RESPONSE(payload)
        expected = ", ".join(map(str, input.expected_status)) or "200 to 299"
        return REQUEST_FAILED(payload | {"error": f"found {answer.status}, expected {expected}"})


_NOTHING = {
    "status": 0,
    "headers": {},
    "contentType": "",
    "body": "",
    "bodyBase64": "",
    "json": None,
    "seconds": 0,
}
