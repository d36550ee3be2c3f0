"""The public keys that tokens are checked with: from a file or from an OpenID Connect issuer.

Owns which keys are usable for which algorithm, and how fresh they are. Must not know tokens.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jwt
import msgspec

from flyte_host.client.transport import Timeout, Transport, Unreachable
from flyte_host.config.checks import is_secure
from flyte_host.errors import ConfigError
from flyte_host.text import reason

log = logging.getLogger("flyte_host.embedded.auth")

ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By kind and curve of a key. No shared secrets: a key that everybody may see signs nothing."""
SMALLEST_RSA_BITS = 2048
LARGEST_FILE_BYTES = 1_000_000

TIMEOUT = Timeout(3.0, 5.0)
REFRESH_SECONDS = 30.0
"""The shortest time between two requests to the issuer because a key is unknown."""
RETRY_SECONDS = 5.0
"""The same, because the issuer could not be asked."""
LONGEST_SECONDS = 3600.0
"""How old keys of an issuer may get: what it has withdrawn is not to be trusted for ever."""
WAIT_SECONDS = 2.0
"""How long a request waits for another one that asks the issuer for its first keys."""


class KeysUnavailable(Exception):
    """There are no keys yet; asking again in ``retry_in_seconds`` makes sense."""

    def __init__(self, retry_in_seconds: float) -> None:
        super().__init__("the issuer of tokens has not told its keys yet")
        self.retry_in_seconds = retry_in_seconds


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, as PyJWT takes it, with the algorithms it may be used for."""

    kid: str | None
    algorithms: tuple[str, ...]
    public: Any


class Keys(Protocol):
    """Where keys come from; ``issuer`` is who tokens have to be of, if that is known."""

    issuer: str | None

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """The keys a token may be signed with; raises :class:`KeysUnavailable`."""
        ...


def read_keys(document: bytes) -> list[Key]:
    """The keys of a JSON Web Key Set that can check signatures; raises ValueError if none can."""
    try:
        found = msgspec.json.decode(document)["keys"]
        keys = [key for item in found if (key := _key(item))]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'found no JSON Web Key Set ({error}), expected {{"keys": […]}}') from None
    if not keys:
        raise ValueError(
            "found no usable key, expected public ones: RSA of at least "
            f"{SMALLEST_RSA_BITS} bits, EC P-256, P-384 or P-521, or Ed25519"
        )
    return keys


def _key(item: Any) -> Key | None:
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
    return Key(kid if isinstance(kid, str) else None, algorithms, key)


def fitting(keys: Sequence[Key], kid: str | None, algorithm: str) -> list[Key]:
    """Those with this id, and those without one; of a token without an id, any."""
    return [
        key
        for key in keys
        if algorithm in key.algorithms and (kid is None or key.kid in {kid, None})
    ]


class FileKeys:
    """The keys of a file, which is read again when it changes. Raises ValueError if it is bad."""

    issuer: str | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._keys = self._read()

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reread()
            return fitting(self._keys, kid, algorithm)

    def _reread(self) -> None:
        try:
            self._keys = self._read()
        except ValueError as error:
            log.error("%s; the keys read before stay in use", error)
        else:
            log.info("%s: %d keys read anew", self._path, len(self._keys))

    def _look(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> list[Key]:
        try:
            with self._path.open("rb") as file:
                return read_keys(file.read(LARGEST_FILE_BYTES))
        except OSError as error:
            raise ValueError(f"{self._path}: cannot be read: {reason(error)}") from None
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from None


class IssuerKeys:
    """The keys of an OpenID Connect issuer, found by its discovery document.

    Asked when a token is to be checked, not before: see the times above for how often. An issuer
    that is away is logged once, and once more when it is back. Raises ConfigError for a bad
    ``ca_file``.
    """

    def __init__(
        self,
        issuer: str,
        *,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer: str | None = issuer
        self._url = issuer
        self._ca_file = ca_file
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[Key] = []
        self._read_at = self._asked_at = float("-inf")
        self._is_away = False
        self._transport(issuer).close()

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        if not self._keys:
            self._refresh(RETRY_SECONDS, WAIT_SECONDS)
        elif self._clock() - self._read_at > LONGEST_SECONDS:
            self._refresh(REFRESH_SECONDS, 0)
        if not self._keys:
            raise KeysUnavailable(RETRY_SECONDS)
        if not fitting(self._keys, kid, algorithm):
            self._refresh(REFRESH_SECONDS, 0)
        return fitting(self._keys, kid, algorithm)

    def _refresh(self, pause_seconds: float, wait_seconds: float) -> None:
        """Ask, unless that was done just now or another request is at it."""
        if not self._lock.acquire(timeout=wait_seconds):
            return
        try:
            if self._clock() - self._asked_at >= pause_seconds:
                self._ask()
                self._asked_at = self._clock()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        try:
            self._keys = read_keys(self._get(self._keys_url()))
        except ValueError as error:
            if not self._is_away:
                log.error("tokens of %s cannot be checked: %s", self._url, error)
            self._is_away = True
        else:
            self._read_at = self._clock()
            if self._is_away:
                log.info("tokens of %s can be checked again", self._url)
            self._is_away = False

    def _keys_url(self) -> str:
        where = self._url.rstrip("/") + "/.well-known/openid-configuration"
        try:
            document = msgspec.json.decode(self._get(where))
            named, url = str(document["issuer"]), str(document["jwks_uri"])
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise ValueError(f"{where} is no discovery document: {error!r}") from None
        if named != self._url:
            raise ValueError(f"{where} is of issuer {named!r}, expected exactly {self._url!r}")
        if not is_secure(url):
            raise ValueError(f"{where} names keys at {url!r}, expected https://")
        return url

    def _get(self, url: str) -> bytes:
        try:
            with closing(self._transport(url)) as transport:
                answer = transport.exchange(transport.prepare("GET", url, None), TIMEOUT)
        except Unreachable as error:
            raise ValueError(f"{url}: {error}") from None
        except ConfigError:
            raise ValueError(f"found {url!r}, which is no URL") from None
        if answer.status != 200 or answer.body is None:
            raise ValueError(f"{url}: found status {answer.status}, expected 200 with a document")
        return answer.body

    def _transport(self, url: str) -> Transport:
        return Transport(
            url,
            token=None,
            ca_file=self._ca_file,
            client_cert_file=None,
            client_key_file=None,
            verify=True,
        )
