"""Whether a webhook is from an allowed sender, and what distinguishes it from all others.

Owns how each kind of sender signs. Secrets are compared in constant time, before anybody looks into
the body.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from flyte_pack_http.settings import WebhookEntry
from flyte_pack_http.webhook_request import WebhookRefused, WebhookRequest

_MOST_SIGNATURES = 10
"""A sender that replaces its secret signs with both; nobody needs more than a few."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a sender signed, empty if nothing; and the header with the time, if it signed one."""

    content: bytes = b""
    time_header: str = ""
    time: str = ""


class SignedTime:
    """Refuses requests that were signed too long ago, or in the future."""

    def __init__(self, now: Callable[[], float], window_seconds: float) -> None:
        self._now = now
        self._window_seconds = window_seconds

    def check(self, header: str, text: str) -> None:
        """Raises WebhookRefused unless ``text`` are the seconds of about now."""
        if not (text.isascii() and text.isdigit() and len(text) <= 12):
            raise WebhookRefused(400, f"{header}: expected seconds since 1970")
        if abs(self._now() - int(text)) > self._window_seconds:
            raise WebhookRefused(
                403, f"{header}: more than {self._window_seconds:g} s from now: an old request"
            )


def verify(entry: WebhookEntry, request: WebhookRequest, time: SignedTime) -> bytes:
    """The digest by which to know the request again, empty if there is none.

    Raises WebhookRefused. Senders with a token sign nothing: anybody who can repeat such a request
    knows the token, and could send any other.
    """
    if entry.kind == "open":
        return b""
    signed = _VERIFY[entry.kind](entry, request)
    if signed.time_header:
        time.check(signed.time_header, signed.time)
    if not signed.content:
        return b""
    return hashlib.sha256(entry.path.encode() + b"\0" + signed.content).digest()


def _github(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_hmac(entry, request, "X-Hub-Signature-256", "sha256=")
    return Signed(request.body)


def _jira(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_hmac(entry, request, "X-Hub-Signature", "sha256=")
    return Signed(request.body)


def _hmac(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_hmac(entry, request, entry.header, entry.prefix)
    return Signed(request.body)


def _slack(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    header = "X-Slack-Request-Timestamp"
    moment = request.required(header)
    given = _after("v0=", request.required("X-Slack-Signature"), "X-Slack-Signature")
    signed = b"v0:" + moment.encode("latin-1") + b":" + request.body
    _expect_one([given], (_mac(each, signed) for each in _secrets(entry)), "X-Slack-Signature")
    return Signed(signed, header, moment)


def _standard(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    message_id = request.required("webhook-id").encode("latin-1")
    moment = request.required("webhook-timestamp")
    signatures = request.required("webhook-signature").split(" ")
    signed = b".".join((message_id, moment.encode("latin-1"), request.body))
    given = [each.removeprefix("v1,") for each in signatures if each.startswith("v1,")]
    macs = (_mac(each, signed, encoding="base64") for each in entry.standard_keys())
    _expect_one(given[:_MOST_SIGNATURES], macs, "webhook-signature")
    # Each try of one delivery has the same id, at another time.
    return Signed(message_id, "webhook-timestamp", moment)


def _gitlab(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_token(entry, request, "X-Gitlab-Token", "")
    # The same for each try of one delivery.
    return Signed(request.header("Idempotency-Key").encode("latin-1"))


def _alertmanager(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_token(entry, request, "Authorization", "Bearer ")
    return Signed()


def _token(entry: WebhookEntry, request: WebhookRequest) -> Signed:
    _check_token(entry, request, entry.header, entry.prefix)
    return Signed()


_VERIFY: dict[str, Callable[[WebhookEntry, WebhookRequest], Signed]] = {
    "github": _github,
    "gitlab": _gitlab,
    "jira": _jira,
    "slack": _slack,
    "alertmanager": _alertmanager,
    "standard": _standard,
    "hmac": _hmac,
    "token": _token,
}


def _check_hmac(entry: WebhookEntry, request: WebhookRequest, header: str, prefix: str) -> None:
    given = _after(prefix, request.required(header), header)
    macs = (_mac(each, request.body, entry.algorithm, entry.encoding) for each in _secrets(entry))
    _expect_one([given], macs, header)


def _check_token(entry: WebhookEntry, request: WebhookRequest, header: str, prefix: str) -> None:
    given = _after(prefix, request.required(header), header)
    _expect_one([given], _secrets(entry), header)


def _expect_one(given: Sequence[str], expected: Iterable[bytes], header: str) -> None:
    """Compares each with all of them, however early one matches."""
    wanted = list(expected)
    matches = [
        hmac.compare_digest(one.encode("latin-1"), other) for one in given for other in wanted
    ]
    if not any(matches):
        raise WebhookRefused(403, f"{header}: not made with our secret")


def _after(prefix: str, value: str, header: str) -> str:
    if not value.startswith(prefix):
        raise WebhookRefused(403, f"{header}: does not begin with {prefix!r}")
    return value.removeprefix(prefix)


def _mac(secret: bytes, signed: bytes, algorithm: str = "sha256", encoding: str = "hex") -> bytes:
    digest = hmac.digest(secret, signed, algorithm)
    return digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)


def _secrets(entry: WebhookEntry) -> Iterator[bytes]:
    yield entry.secret.encode()
    if entry.previous_secret:
        yield entry.previous_secret.encode()
