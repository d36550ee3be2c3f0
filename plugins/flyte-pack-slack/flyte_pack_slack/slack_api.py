"""Slack's Web API through Slack's own SDK.

Owns tokens, time limits, and the waits when Slack says there were too many calls. Must not know
commands or events.
"""

import contextlib
import http.client
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_pack_kit import ServerWords
from slack_sdk.errors import SlackApiError, SlackClientError

from flyte_pack_slack.settings import SlackSettings
from flyte_pack_slack.straight_client import StraightClient

sdk_log = logging.getLogger(f"{__name__}.sdk")
sdk_log.setLevel(logging.CRITICAL)  # callers log failed calls themselves

_LONGEST_WORDS = 300
_UNKNOWN_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 3600.0
_MOST_TURNS = 1_000


@dataclass(frozen=True, slots=True)
class SlackTiming:
    """How time passes: ``monotonic`` counts seconds, ``sleep`` lets them pass.

    The first retry of a socket comes after ``first_pause_seconds``, and each pause is twice as long
    as the last; a socket counts as dead after ``silence_seconds`` without a ping.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    first_pause_seconds: float = 1.0
    silence_seconds: float = 60.0


class SlackFailed(Exception):
    """Slack refused or failed; the text is Slack's own word, or says why there is none."""

    def __init__(self, reason: str, *, is_slacks_word: bool = False) -> None:
        super().__init__(reason)
        self.is_slacks_word = is_slacks_word


class SlackApi:
    """Calls methods of the API."""

    def __init__(self, settings: SlackSettings, timing: SlackTiming) -> None:
        self._settings = settings
        self._sleep = timing.sleep
        self._monotonic = timing.monotonic
        self._pace = _Pace(timing.monotonic)
        self.words = ServerWords(settings.token, settings.app_token, longest=_LONGEST_WORDS)
        is_encrypted = settings.api_url.startswith("https:")
        self.tls = ssl.create_default_context(cafile=settings.ca_file) if is_encrypted else None
        self.web = self._client(settings.timeout_seconds)

    def call(
        self,
        method: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        limit_seconds: float = 0,
    ) -> dict[str, Any]:
        """Send ``body`` as JSON, or ``params`` as a form; raises SlackFailed.

        ``limit_seconds`` is for callers that cannot wait as long as the settings allow.
        """
        web = self._client(limit_seconds) if limit_seconds else self.web
        channel = str((body or {}).get("channel", ""))
        return self.paced(
            method,
            channel,
            lambda: web.api_call(
                method, json=dict(body) if body else None, params=dict(params or {})
            ),
            limit_seconds,
        )

    def open_connection(self, limit_seconds: float) -> str:
        """A new address for socket mode, which is a secret for a minute; raises SlackFailed."""
        web = self._client(self._settings.timeout_seconds)
        opened = self.paced(
            "apps.connections.open",
            "",
            lambda: web.apps_connections_open(app_token=self._settings.app_token),
            limit_seconds,
        )
        return str(opened.get("url", ""))

    def paced(
        self, method: str, channel: str, ask: Callable[[], Any], limit_seconds: float = 0
    ) -> dict[str, Any]:
        """Repeat ``ask`` while Slack says that there were too many calls; raises SlackFailed.

        One call for a channel at a time: Slack takes only one message a second there, and would
        refuse a crowd that waits together.
        """
        ends_at = self._monotonic() + (limit_seconds or self._settings.rate_limit_seconds)
        with self._pace.turn((method, channel), ends_at) as turn:
            while True:
                wait_seconds = turn.wait_seconds()
                if self._monotonic() + wait_seconds > ends_at:
                    raise SlackFailed(f"ratelimited: Slack asks to wait {wait_seconds:g} s")
                if wait_seconds > 0:
                    self._sleep(wait_seconds)
                try:
                    return _document(ask())
                except SlackApiError as cause:
                    if not _is_rate_limit(cause):
                        word = self.words.show(_word(cause))
                        raise SlackFailed(word, is_slacks_word=True) from cause
                    turn.pause(_retry_after(cause))
                except (OSError, SlackClientError, http.client.HTTPException, ValueError) as cause:
                    raise SlackFailed(self.words.show(_reason(cause))) from cause
                except (
                    AttributeError,
                    TypeError,
                    LookupError,
                    RecursionError,
                ) as cause:  # of the SDK
                    raise SlackFailed("Slack's answer is not what its API promises") from cause

    def _client(self, timeout_seconds: float) -> StraightClient:
        return StraightClient(
            self._settings.token,
            base_url=self._settings.api_url,
            timeout=timeout_seconds,  # type: ignore[arg-type]  # any seconds
            ssl=self.tls,
            logger=sdk_log,
            # The SDK's own retries would send a message twice if its answer was lost.
            retry_handlers=[],
        )


class _Pace:
    """Whose turn it is, and how long Slack wants silence, for each method and channel."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, str], _Turn] = {}

    @contextlib.contextmanager
    def turn(self, key: tuple[str, str], ends_at: float) -> Iterator["_Turn"]:
        with self._lock:
            if len(self._turns) > _MOST_TURNS:  # flows may invent channels
                self._turns = {key: each for key, each in self._turns.items() if each.is_needed()}
            turn = self._turns.setdefault(key, _Turn(self._monotonic))
        if not turn.lock.acquire(timeout=max(0.0, ends_at - self._monotonic())):
            raise SlackFailed("ratelimited: too many calls wait for their turn")
        try:
            yield turn
        finally:
            turn.lock.release()


class _Turn:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.lock = threading.Lock()
        self._monotonic = monotonic
        self._silent_until = 0.0

    def is_needed(self) -> bool:
        """Whether it holds anything that a new one would not."""
        return self.lock.locked() or self.wait_seconds() > 0

    def wait_seconds(self) -> float:
        return max(0.0, self._silent_until - self._monotonic())

    def pause(self, seconds: float) -> None:
        self._silent_until = self._monotonic() + seconds


def _document(answer: Any) -> dict[str, Any]:
    data = answer.data
    if not isinstance(data, dict):
        raise SlackFailed("Slack answered something that is not a document")
    return data


def _is_rate_limit(cause: SlackApiError) -> bool:
    status = getattr(cause.response, "status_code", 0)
    return status == 429 or cause.response.get("error") in {"ratelimited", "rate_limited"}


def _retry_after(cause: SlackApiError) -> float:
    headers = {name.lower(): value for name, value in (cause.response.headers or {}).items()}
    text = str(headers.get("retry-after", ""))
    if not (text.isascii() and text.isdigit()):
        return _UNKNOWN_PAUSE_SECONDS
    return min(float(text), _LONGEST_PAUSE_SECONDS)


def _word(cause: SlackApiError) -> str:
    """Slack's own word, such as ``channel_not_found``; else its status and how its answer began."""
    word = cause.response.get("error")
    status = getattr(cause.response, "status_code", 0)
    if isinstance(word, str) and word and status == 200 and " " not in word:
        needed = cause.response.get("needed")
        return f"{word}: needs {needed}" if needed else word
    return f"status {status}: {word or 'no words'}"


def _reason(cause: Exception) -> str:
    inner = getattr(cause, "reason", None)
    shown = inner if isinstance(inner, Exception) else cause
    return f"{type(shown).__name__}: {shown}"


def dumped(document: Any) -> str:
    """The document on one line, for the text of an error."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
