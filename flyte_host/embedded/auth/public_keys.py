"""Public keys that tokens are checked with, read from a JSON Web Key Set.

Owns which keys are usable for which algorithm. Must not know where a key set comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
import msgspec

from flyte_host.json_decoding import decode_json

ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By type and curve. No shared secrets: a key that anybody may read proves nothing."""
SMALLEST_RSA_BITS = 2048


class KeysUnavailable(Exception):
    """There are no keys yet; try again in ``retry_in_seconds``."""

    def __init__(self, retry_in_seconds: float) -> None:
        super().__init__("the issuer's keys are not available yet")
        self.retry_in_seconds = retry_in_seconds


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as PyJWT takes it, with the algorithms it may be used for."""

    kid: str | None
    algorithms: tuple[str, ...]
    public: Any


class KeySource(Protocol):
    """Where keys come from; tokens must come from ``issuer`` unless it is ``None``."""

    issuer: str | None

    def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """The keys that may have signed a token; raises :class:`KeysUnavailable`."""
        ...


class _KeySet(msgspec.Struct):
    keys: list[Any]


def read_keys(document: bytes) -> list[PublicKey]:
    """The usable keys of a JSON Web Key Set; raises ValueError if there are none."""
    try:
        found = decode_json(document, _KeySet).keys
    except ValueError as error:
        raise ValueError(f'found no JSON Web Key Set ({error}), expected {{"keys": […]}}') from None
    keys = [key for item in found if (key := _key(item))]
    if not keys:
        raise ValueError(
            "found no usable key, expected public ones: RSA of at least "
            f"{SMALLEST_RSA_BITS} bits, EC P-256, P-384 or P-521, or Ed25519"
        )
    return keys


def _key(item: Any) -> PublicKey | None:
    if not isinstance(item, dict):
        return None
    kind, curve = str(item.get("kty", "")), str(item.get("crv", ""))
    algorithms = ALGORITHMS.get((kind, "" if kind == "RSA" else curve), ())
    if "alg" in item:
        algorithms = tuple(name for name in algorithms if name == item["alg"])
    if not algorithms or item.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(
            {name: value for name, value in item.items() if name != "d"}, algorithms[0]
        ).key
    except (jwt.PyJWTError, KeyError):
        return None
    if kind == "RSA" and key.key_size < SMALLEST_RSA_BITS:
        return None
    kid = item.get("kid")
    return PublicKey(kid if isinstance(kid, str) else None, algorithms, key)


def select_keys(keys: Sequence[PublicKey], kid: str | None, algorithm: str) -> list[PublicKey]:
    """The keys with this id and those without one; all of them for a token without an id."""
    return [
        key
        for key in keys
        if algorithm in key.algorithms and (kid is None or key.kid in {kid, None})
    ]
