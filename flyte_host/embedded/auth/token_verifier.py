"""A JSON Web Token → its claims, if the token can be trusted.

Owns what makes a token valid: signature, audience, issuer and times. Must not know policies or
HTTP.
"""

from typing import Any

import jwt

from flyte_host.embedded.auth.public_keys import KeySource, PublicKey

LARGEST_TOKEN_CHARACTERS = 16_384
LEEWAY_SECONDS = 10
"""How far the clocks of the issuer and this machine may differ."""


class TokenInvalid(ValueError):
    """The token cannot be trusted; the text says why, for the log."""


class TokenVerifier:
    """Checks that tokens are for ``audience``, and from the issuer of the keys if it is known."""

    def __init__(self, keys: KeySource, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token; raises :class:`TokenInvalid` and ``KeysUnavailable``."""
        kid, algorithm = _header(token)
        keys = self._keys.find(kid, algorithm)
        if not keys:
            raise TokenInvalid(f"there is no key {kid!r} for {algorithm!r}")
        problem = ""
        for key in keys:
            try:
                return self._decoded(token, key)
            except jwt.InvalidSignatureError as error:
                problem = str(error)
            except Exception as error:
                # Whatever error its contents cause in the library, the token is to blame.
                raise TokenInvalid(str(error)) from None
        raise TokenInvalid(problem)

    def _decoded(self, token: str, key: PublicKey) -> dict[str, Any]:
        required = ["exp", "aud"] + (["iss"] if self._keys.issuer else [])
        claims: dict[str, Any] = jwt.decode(
            token,
            key.public,
            algorithms=list(key.algorithms),
            audience=self._audience,
            issuer=self._keys.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": required},
        )
        return claims


def _header(token: str) -> tuple[str | None, str]:
    """Key id and algorithm. They are unverified, so they only choose among our keys."""
    if len(token) > LARGEST_TOKEN_CHARACTERS:
        raise TokenInvalid(f"it is longer than {LARGEST_TOKEN_CHARACTERS} characters")
    try:
        header = jwt.get_unverified_header(token)
    except Exception as error:
        # Garbage can cause any error, not only the library's: Unicode, recursion.
        raise TokenInvalid(str(error)) from None
    return header.get("kid"), str(header.get("alg"))
