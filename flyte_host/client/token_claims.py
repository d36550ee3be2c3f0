"""What a token says about itself, read without a key.

Owns the words for tokens that flyte will refuse. Must not know where tokens come from.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flyte_host.json_decoding import decode_json


def read_claims(token: str) -> Mapping[str, Any] | None:
    """The claims of a JWT; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return decode_json(claims, dict[str, Any])
    except ValueError:
        return None


def describe_claims(claims: Mapping[str, Any]) -> str:
    """When the token expires and for whom it is."""
    expires = expiry_of(claims)
    when = "never expires" if expires is None else f"expires at {_utc(expires)}"
    audience = claims.get("aud")
    names = audience if isinstance(audience, list) else [audience]
    whom = ", ".join(str(name) for name in names if name) or "nobody in particular"
    return f"{when}, aud: {whom}"


def why_not_now(claims: Mapping[str, Any], now: datetime) -> str:
    """Why flyte will refuse the token at this time; empty if it will not."""
    expires, begins = expiry_of(claims), _moment(claims.get("nbf"))
    if expires is not None and expires <= now:
        return f"the token expired at {_utc(expires)}; get a new one"
    if begins is not None and begins > now:
        return f"the token is not valid before {_utc(begins)}, and it is {_utc(now)} here"
    return ""


def expiry_of(claims: Mapping[str, Any]) -> datetime | None:
    """When the token ends; None if it does not say."""
    return _moment(claims.get("exp"))


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _moment(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
