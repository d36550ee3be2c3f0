"""A JSON Web Token → its claims, if it is one to be trusted.

Owns what makes a token good: signature, audience, issuer and times. Must not know policies or HTTP.
"""

from typing import Any

import jwt

from flyte_host.embedded.auth.keys import Key, Keys

LARGEST_TOKEN_CHARACTERS = 16_384
LEEWAY_SECONDS = 10
"""How far the clocks of issuer and host may be apart."""


class TokenInvalid(ValueError):
    """The token is no good; the text says why, for the log."""


class Tokens:
    """Checks tokens for ``audience`` with keys, and for the keys' issuer if they know one."""

    def __init__(self, keys: Keys, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a good token; raises :class:`TokenInvalid` and ``KeysUnavailable``."""
        kid, algorithm = _header(token)
        keys = self._keys.find(kid, algorithm)
        if not keys:
            raise TokenInvalid(f"no key {kid!r} for {algorithm!r} is known")
        problem = ""
        for key in keys:
            try:
                return self._decoded(token, key)
            except jwt.InvalidSignatureError as error:
                problem = str(error)
            except Exception as error:
                # Whatever its contents do to the library, it is the token that is no good.
                raise TokenInvalid(str(error)) from None
        raise TokenInvalid(problem)

    def _decoded(self, token: str, key: Key) -> dict[str, Any]:
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
    """Key id and algorithm, which nobody has vouched for: they choose among our keys, no more."""
    if len(token) > LARGEST_TOKEN_CHARACTERS:
        raise TokenInvalid(f"it is longer than {LARGEST_TOKEN_CHARACTERS} characters")
    try:
        header = jwt.get_unverified_header(token)
    except Exception as error:
        # Garbage of every kind: the library's errors, but Unicode and recursion too.
        raise TokenInvalid(str(error)) from None
    return header.get("kid"), str(header.get("alg"))
