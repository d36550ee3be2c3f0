"""What an answer of flyte means that is not the one expected.

Owns which error stands for which status, and the words for calls and answers. Must not know what a
failure means for the next call.
"""

from collections.abc import Collection
from urllib.parse import urljoin

from flyte_host.client import wire
from flyte_host.client.flyte_address import origin, safe_url
from flyte_host.client.transport import Answer, Request
from flyte_host.errors import (
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteFinished,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)


def error_of(answer: Answer, accepted: Collection[int]) -> FlyteError:
    """The error for an answer of flyte itself, whose status is none of those ``accepted``."""
    message = outcome_of(answer)
    if answer.status == 401:
        return FlyteUnauthorized(f"{message}: {_why_unauthorized(answer)}")
    if answer.status == 404:
        return FlyteUnknown(message)
    if 400 <= answer.status < 500:
        return FlyteRefused(message)
    if answer.status == 500:
        is_finished = answer.headers.get(wire.STATE_HEADER) in wire.FINISHED_STATES
        return FlyteFinished(message) if is_finished else FlyteFailed(message)
    if "Location" in answer.headers:
        target = _redirect_target(str(answer.request.url), answer.headers["Location"])
        message = f"{message}, a redirect to {target} (never followed)"
    expected = " or ".join(str(status) for status in sorted(accepted))
    return FlyteBadAnswer(f"{message}, expected {expected}")


def call_of(request: Request) -> str:
    """What was called."""
    return f"{request.method} {safe_url(str(request.url))}"


def outcome_of(answer: Answer) -> str:
    """What was called, and the status of the answer."""
    return f"{call_of(answer.request)} was answered with {answer.status}"


def _why_unauthorized(answer: Answer) -> str:
    challenge = answer.headers.get("WWW-Authenticate")
    if challenge is None:
        return "flyte's policy does not allow it"
    if "invalid_token" in challenge:
        return "flyte says the token is invalid or expired"
    return "flyte requires a token"


def _redirect_target(url: str, location: str) -> str:
    try:
        return origin(urljoin(url, location))
    except ValueError:
        return "something that is not an HTTP URL"
