"""What a token says about itself, read without a key.

Owns the words for tokens that flyte will refuse. Must not know where tokens come from.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def read_claims(token: str) -> Mapping[str, Any] | None:
    """The claims of a JWT; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def describe_claims(claims: Mapping[str, Any]) -> str:
    """When the token expires and for whom it is."""
    expires = expiry_of(claims)
    when = "never expires" if expires is None else f"expires at {expires:%Y-%m-%d %H:%M:%S} UTC"
    audience = claims.get("aud")
    names = audience if isinstance(audience, list) else [audience]
    whom = ", ".join(str(name) for name in names if name) or "nobody in particular"
    return f"{when}, aud: {whom}"


def why_expired(claims: Mapping[str, Any], now: datetime) -> str:
    """Why flyte will refuse the token; empty if its time is not over."""
    expires = expiry_of(claims)
    if expires is None or expires > now:
        return ""
    return f"the token expired at {expires:%Y-%m-%d %H:%M:%S} UTC; get a new one"


def expiry_of(claims: Mapping[str, Any]) -> datetime | None:
    """When the token ends; None if it does not say."""
    seconds = claims.get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
