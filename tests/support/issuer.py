"""A real OpenID Connect issuer for tests: its own keys, its own HTTP server on loopback."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.responses import JSONResponse

from flyte_host.testing.waiting import PATIENCE_SECONDS
from flyte_host.web.web_server import WebServer

AUDIENCE = "flyte"


@dataclass
class SigningKey:
    """A key pair of an issuer, made when it is first used: that of RSA takes long."""

    kid: str | None
    algorithm: str
    make: Callable[[], Any]

    @cached_property
    def private(self) -> Any:
        return self.make()

    def public_jwk(self, **over: Any) -> dict[str, Any]:
        made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(
            self.private.public_key(), as_dict=True
        )
        named = {} if self.kid is None else {"kid": self.kid}
        return {name: value for name, value in made.items() if name != "key_ops"} | named | over

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        named = {} if self.kid is None else {"kid": self.kid}
        return jwt.encode(dict(claims), self.private, self.algorithm, headers=named | header)


def rsa_key(kid: str | None = "rsa-1", algorithm: str = "RS256", bits: int = 2048) -> SigningKey:
    return SigningKey(kid, algorithm, lambda: rsa.generate_private_key(65537, bits))


def ec_key(kid: str | None = "ec-1", algorithm: str = "ES256") -> SigningKey:
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return SigningKey(kid, algorithm, lambda: ec.generate_private_key(curves[algorithm]))


def ed_key(kid: str | None = "ed-1") -> SigningKey:
    return SigningKey(kid, "EdDSA", ed25519.Ed25519PrivateKey.generate)


def claims(**over: Any) -> dict[str, Any]:
    """Claims of a good token without an issuer; ``None`` leaves one out."""
    now = int(time.time())
    good = {"aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 3600} | over
    return {name: value for name, value in good.items() if value is not None}


def key_set(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public_jwk() for key in keys]}


@dataclass
class Issuer:
    """Serves discovery and keys from the start; ``stop`` it after the test."""

    keys: list[SigningKey] = field(default_factory=lambda: [rsa_key()])
    status: int = 200
    discovery: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    path: str = ""

    def __post_init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = WebServer(self._answer, ("127.0.0.1", 0), name="issuer")
        self._server.start()
        self.url = self._server.url + self.path

    def token(self, key: SigningKey | None = None, **over: Any) -> str:
        """A token of this issuer, valid unless ``over`` spoils it."""
        return (key or self.keys[0]).sign(claims(**{"iss": self.url} | over))

    def stop(self) -> None:
        self._server.stop()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(self.path.rstrip("/"))
        self.asked.append(path)
        await asyncio.to_thread(self.may_answer.wait, PATIENCE_SECONDS)
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": self.url.rstrip("/") + "/keys",
            }
            | self.discovery,
            "/keys": key_set(*self.keys),
        }
        await JSONResponse(documents.get(path, {}), self.status)(scope, receive, send)
