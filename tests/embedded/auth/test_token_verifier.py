"""Which tokens are good, and where the keys come from: a file, or a real issuer on loopback."""

import base64
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flyte_host.embedded.auth.file_keys import FileKeys
from flyte_host.embedded.auth.issuer_keys import (
    LONGEST_SECONDS,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    IssuerKeys,
)
from flyte_host.embedded.auth.public_keys import KeysUnavailable, read_keys
from flyte_host.embedded.auth.token_verifier import TokenInvalid, TokenVerifier
from flyte_host.errors import ConfigError
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.hand_clock import HandClock
from tests.support.issuer import (
    AUDIENCE,
    Issuer,
    SigningKey,
    claims,
    ec_key,
    ed_key,
    key_set,
    rsa_key,
)
from tests.support.scripted_server import ScriptedServer, reply

RSA = rsa_key()
OTHER_RSA = rsa_key()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer([RSA])
    yield issuer
    issuer.stop()


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., Path]:
    def write(*keys: SigningKey) -> Path:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps(key_set(*keys)), encoding="utf-8")
        return path

    return write


def encoded(*parts: Any) -> str:
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in raw)


def refused(tokens: TokenVerifier, token: str) -> str:
    with pytest.raises(TokenInvalid) as raised:
        tokens.claims(token)
    return str(raised.value)


@pytest.mark.parametrize(
    "key",
    [
        RSA,
        rsa_key("p", "PS256"),
        rsa_key("r", "RS512"),
        ed_key(),
        ec_key(),
        ec_key("e3", "ES384"),
        ec_key("e5", "ES512"),
    ],
    ids=lambda key: key.algorithm,
)
def test_a_good_token_of_each_algorithm(key: SigningKey, key_file: Callable[..., Path]) -> None:
    tokens = TokenVerifier(FileKeys(key_file(rsa_key("other"), key)), AUDIENCE)
    assert tokens.claims(key.sign(claims(role="admin")))["role"] == "admin"


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"aud": "somebody-else"}, "Audience doesn't match"),
        ({"aud": None}, 'Token is missing the "aud" claim'),
        ({"aud": {"flyte": 1}}, "Invalid claim format in token"),
        ({"exp": 1_000_000_000}, "Signature has expired"),
        ({"exp": None}, 'Token is missing the "exp" claim'),
        ({"exp": "soon"}, "Expiration Time claim (exp) must be an integer."),
        ({"exp": []}, "Expiration Time claim (exp) must be an integer."),
        ({"nbf": 9_999_999_999}, "The token is not yet valid (nbf)"),
        ({"iat": 9_999_999_999}, "The token is not yet valid (iat)"),
    ],
)
def test_claims_that_make_a_token_bad(
    over: dict[str, Any], reason: str, key_file: Callable[..., Path]
) -> None:
    tokens = TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE)
    assert reason in refused(tokens, RSA.sign(claims(**over)))


def test_one_of_several_audiences_is_enough(key_file: Callable[..., Path]) -> None:
    tokens = TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE)
    assert tokens.claims(RSA.sign(claims(aud=["x", AUDIENCE])))["sub"] == "ada"


def test_a_token_of_another_key_with_the_same_id(key_file: Callable[..., Path]) -> None:
    tokens = TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE)
    assert refused(tokens, OTHER_RSA.sign(claims())) == "Signature verification failed"


def test_a_token_of_an_unknown_key(key_file: Callable[..., Path]) -> None:
    tokens = TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE)
    assert refused(tokens, RSA.sign(claims(), kid="x")) == "there is no key 'x' for 'RS256'"


def test_keys_and_tokens_without_an_id(key_file: Callable[..., Path]) -> None:
    nameless = [rsa_key(None), rsa_key(None)]
    tokens = TokenVerifier(FileKeys(key_file(*nameless)), AUDIENCE)
    for key in nameless:
        assert tokens.claims(key.sign(claims()))["sub"] == "ada"
        assert tokens.claims(key.sign(claims(), kid="whatever"))["sub"] == "ada"
    of_rsa_1 = TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE)
    assert (
        of_rsa_1.claims(SigningKey(None, "RS256", lambda: RSA.private).sign(claims()))["sub"]
        == "ada"
    )


def test_no_algorithm_but_those_of_the_key(key_file: Callable[..., Path]) -> None:
    """A public key as shared secret, no signature at all, another kind's algorithm."""
    tokens = TokenVerifier(FileKeys(key_file(RSA, ec_key())), AUDIENCE)
    pem = RSA.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signer = jwt.get_algorithm_by_name("HS256")
    for secret in (pem, json.dumps(RSA.public_jwk()).encode(), b""):
        signed = encoded({"alg": "HS256", "kid": "rsa-1"}, claims())
        signature = base64.urlsafe_b64encode(signer.sign(signed.encode(), secret)).decode()
        assert refused(tokens, f"{signed}.{signature.rstrip('=')}").startswith(
            "there is no key 'rsa-1'"
        )
    for name in ("none", "None", "NONE", "", "RS256x", "ES256K"):
        token = encoded({"alg": name, "kid": "rsa-1"}, claims()) + "."
        assert refused(tokens, token).startswith("there is no key 'rsa-1'")
    assert refused(tokens, RSA.sign(claims(), kid="ec-1")).startswith(
        "there is no key 'ec-1' for 'RS256'"
    )


def test_a_key_that_says_its_algorithm_is_for_no_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [RSA.public_jwk(alg="RS256")]}), encoding="utf-8")
    tokens = TokenVerifier(FileKeys(path), AUDIENCE)
    assert tokens.claims(RSA.sign(claims()))["sub"] == "ada"
    other = SigningKey(RSA.kid, "RS384", lambda: RSA.private)
    assert refused(tokens, other.sign(claims())) == "there is no key 'rsa-1' for 'RS384'"


GARBAGE = {
    "a letter": "x",
    "three letters": "a.b.c",
    "dots": "....",
    "a dot": ".",
    "no ascii": "é.é.é",
    "a surrogate": "\ud800",
    "the start of a token": "eyJ",
    "a list as header": encoded([], {}, b""),
    "too long": "x" * 20_000,
    "a number as key id": encoded({"alg": "RS256", "kid": 7}, {}, b"s"),
    "a list as algorithm": encoded({"alg": ["RS256"]}, {}, b""),
    "nested deep": encoded(b"[" * 9000, b"x", b"y"),
    "no UTF-8": encoded(b"\xff", b"x", b"y"),
    "critical": encoded({"alg": "RS256", "kid": "rsa-1", "crit": ["x"], "x": 1}, claims(), b"s"),
    "no JSON inside": encoded({"alg": "RS256", "kid": "rsa-1"}, b"x", b"y"),
}


@pytest.mark.parametrize("token", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_not_a_token(token: str, key_file: Callable[..., Path]) -> None:
    assert refused(TokenVerifier(FileKeys(key_file(RSA)), AUDIENCE), token)


def test_a_private_key_in_the_file_checks_as_its_public_half(tmp_path: Path) -> None:
    jwk = jwt.get_algorithm_by_name("RS256").to_jwk(RSA.private, as_dict=True)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")
    assert TokenVerifier(FileKeys(path), AUDIENCE).claims(RSA.sign(claims()))["sub"] == "ada"


NO_SETS = (b"", b"[]", b"{}", b'{"keys": 7}', b"[" * 100_000, b'{"keys":["\xff"]}')
K256 = SigningKey("k", "ES256K", lambda: ec.generate_private_key(ec.SECP256K1()))
UNUSABLE: dict[str, list[Any]] = {
    "no key": [],
    "no object": [7],
    "a shared secret": [{"kty": "oct", "k": "c2VjcmV0"}],
    "half a key": [{"kty": "RSA", "n": "AQAB"}],
    "an empty key": [{"kty": "RSA", "n": "", "e": ""}],
    "numbers": [{"kty": "EC", "crv": "P-256", "x": 7, "y": []}],
    "for encryption": [RSA.public_jwk(use="enc")],
    "for another algorithm": [RSA.public_jwk(alg="HS256")],
    "too short": [rsa_key(bits=1024).public_jwk()],
    "an unusual curve": [K256.public_jwk()],
}


@pytest.mark.parametrize("document", NO_SETS, ids=range(len(NO_SETS)))
def test_a_document_that_is_not_a_key_set(document: bytes) -> None:
    with pytest.raises(ValueError, match="found no JSON Web Key Set"):
        read_keys(document)


@pytest.mark.parametrize("keys", UNUSABLE.values(), ids=UNUSABLE)
def test_a_set_without_a_usable_key(keys: list[Any]) -> None:
    with pytest.raises(ValueError, match="found no usable key, expected public ones"):
        read_keys(json.dumps({"keys": keys}).encode())


def test_unusable_keys_are_left_out_of_a_set() -> None:
    document = {"keys": [{"kty": "oct", "k": "AA"}, RSA.public_jwk(), {"kty": "X"}, {"kty": "EC"}]}
    assert [key.kid for key in read_keys(json.dumps(document).encode())] == ["rsa-1"]


def test_a_key_file_is_read_again_when_it_changes(
    key_file: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = key_file(RSA)
    tokens = TokenVerifier(FileKeys(path), AUDIENCE)
    new = ec_key("new")
    assert "no key 'new'" in refused(tokens, new.sign(claims()))
    key_file(new)
    assert tokens.claims(new.sign(claims()))["sub"] == "ada"
    assert "no key 'rsa-1'" in refused(tokens, RSA.sign(claims()))
    assert f"read 1 key from {path}, which has changed" in caplog.messages


def test_a_key_file_that_gets_bad_changes_nothing_and_is_logged_once(
    key_file: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = key_file(RSA)
    tokens = TokenVerifier(FileKeys(path), AUDIENCE)
    path.write_text("oops", encoding="utf-8")
    for _ in range(3):
        assert tokens.claims(RSA.sign(claims()))["sub"] == "ada"
    path.unlink()
    for _ in range(3):
        assert tokens.claims(RSA.sign(claims()))["sub"] == "ada"
    first, second = caplog.messages
    assert f"{path}: found no JSON Web Key Set" in first
    assert f"{path}: cannot be read: No such file" in second
    assert all(line.endswith("; the previous keys stay in use") for line in caplog.messages)


def test_a_key_file_that_is_bad_from_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file or directory"):
        FileKeys(tmp_path / "none.json")
    (tmp_path / "bad.json").touch()
    with pytest.raises(ValueError, match=r"bad\.json: found no JSON Web Key Set"):
        FileKeys(tmp_path / "bad.json")


def test_an_issuer_is_asked_at_the_first_token_and_then_not_again(
    issuer: Issuer, clock: HandClock
) -> None:
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    assert issuer.asked == []
    for _ in range(3):
        assert tokens.claims(issuer.token())["iss"] == issuer.url
        clock.seconds += 100
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("over", "reason"),
    [({"iss": "https://evil"}, "Invalid issuer"), ({"iss": None}, 'missing the "iss" claim')],
)
def test_a_token_of_another_issuer(issuer: Issuer, over: dict[str, Any], reason: str) -> None:
    assert reason in refused(TokenVerifier(IssuerKeys(issuer.url), AUDIENCE), issuer.token(**over))


def test_an_issuer_with_a_slash_at_its_end(clock: HandClock) -> None:
    issuer = Issuer([RSA], path="/tenant/")
    try:
        tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
        assert tokens.claims(issuer.token())["iss"].endswith("/tenant/")
    finally:
        issuer.stop()


def test_rotation_is_seen_by_an_unknown_key_at_most_every_30_seconds(
    issuer: Issuer, clock: HandClock
) -> None:
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    old = issuer.token()
    tokens.claims(old)
    new = ec_key("new")
    issuer.keys = [new]
    clock.seconds += REFRESH_SECONDS - 1
    assert "no key 'new'" in refused(tokens, issuer.token(new))
    assert len(issuer.asked) == 2
    clock.seconds += 1
    assert tokens.claims(issuer.token(new))["sub"] == "ada"
    assert "no key 'rsa-1'" in refused(tokens, old)
    assert len(issuer.asked) == 4


def test_keys_that_an_issuer_withdraws_are_not_trusted_forever(
    issuer: Issuer, clock: HandClock
) -> None:
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    old = issuer.token()
    tokens.claims(old)
    issuer.keys = [ec_key("new")]
    clock.seconds += LONGEST_SECONDS
    assert tokens.claims(old)["sub"] == "ada"
    clock.seconds += 1
    assert "no key 'rsa-1'" in refused(tokens, old)


def test_keys_get_old_while_the_machine_is_suspended(issuer: Issuer, clock: HandClock) -> None:
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    old = issuer.token()
    tokens.claims(old)
    issuer.keys = [ec_key("new")]
    clock.suspend(LONGEST_SECONDS + 1)
    assert "no key 'rsa-1'" in refused(tokens, old)


def test_an_issuer_that_is_away_is_logged_once_and_asked_again(
    issuer: Issuer, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.embedded.auth")
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    issuer.status = 500
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as raised:
            tokens.claims(issuer.token())
        assert raised.value.retry_in_seconds == RETRY_SECONDS
        clock.seconds += RETRY_SECONDS / 2
    assert len(issuer.asked) == 2
    issuer.status = 200
    clock.seconds += RETRY_SECONDS
    assert tokens.claims(issuer.token())["sub"] == "ada"
    where = f"{issuer.url}/.well-known/openid-configuration"
    assert [message for message in caplog.messages if "tokens of" in message] == [
        (
            f"tokens of {issuer.url} cannot be checked: {where}: found status 500, expected 200 "
            "with a document"
        ),
        f"tokens of {issuer.url} can be checked again",
    ]


def test_an_issuer_that_goes_away_later_leaves_its_keys(issuer: Issuer, clock: HandClock) -> None:
    tokens = TokenVerifier(IssuerKeys(issuer.url, clock=clock.clock), AUDIENCE)
    token = issuer.token()
    tokens.claims(token)
    issuer.status = 503
    clock.seconds += LONGEST_SECONDS + 1
    assert tokens.claims(token)["sub"] == "ada"


@pytest.mark.parametrize(
    ("discovery", "problem"),
    [
        ({"issuer": "https://evil"}, "is for issuer 'https://evil', expected exactly 'http://127"),
        ({"jwks_uri": None}, "not a discovery document: Expected `str`, got `null`"),
        ({"jwks_uri": "http://192.0.2.1/keys"}, "names keys at 'http://192.0.2.1/keys', expected"),
        ({"jwks_uri": "http://127.0.0.1:1/keys"}, "connection refused by 127.0.0.1:1"),
        ({"jwks_uri": "https://x:port/"}, "found 'https://x:port/', which is not a URL"),
    ],
)
def test_a_discovery_that_cannot_be_trusted(
    issuer: Issuer, discovery: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.discovery = discovery
    with pytest.raises(KeysUnavailable):
        TokenVerifier(IssuerKeys(issuer.url), AUDIENCE).claims(issuer.token())
    (message,) = [
        each.getMessage() for each in caplog.records if each.name == "flyte_host.embedded.auth"
    ]
    assert problem in message


def test_a_document_that_is_not_a_discovery_document_at_all(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeysUnavailable):
        IssuerKeys(f"{issuer.url}/elsewhere").find(None, "RS256")
    assert (
        "/.well-known/openid-configuration is not a discovery document: Object missing"
        in caplog.text
    )


def test_a_request_with_known_keys_does_not_wait_for_newer_ones(
    issuer: Issuer, clock: HandClock
) -> None:
    keys = IssuerKeys(issuer.url, clock=clock.clock)
    assert keys.find("rsa-1", "RS256")
    clock.seconds += LONGEST_SECONDS + 1
    issuer.may_answer.clear()
    issuer.asked.clear()
    refreshing = threading.Thread(target=keys.find, args=("rsa-1", "RS256"))
    refreshing.start()
    wait_until(lambda: issuer.asked, "the issuer is asked")
    assert keys.find("rsa-1", "RS256")
    issuer.may_answer.set()
    refreshing.join(PATIENCE_SECONDS)
    assert len(issuer.asked) == 2


def test_an_issuer_over_tls_needs_a_certificate_that_is_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.fspath(tmp_path / "ca.pem"))
    (tmp_path / "bad.pem").write_text("no certificate", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ca_file .*bad\.pem cannot be used"):
        IssuerKeys("https://127.0.0.1:1", ca_file=tmp_path / "bad.pem")
    with pytest.raises(KeysUnavailable):
        IssuerKeys("https://127.0.0.1:1", ca_file=tmp_path / "ca.pem").find(None, "RS256")
    assert "connection refused by 127.0.0.1:1" in caplog.text


def test_a_discovery_that_is_nested_too_deeply(caplog: pytest.LogCaptureFixture) -> None:
    nested = b'{"more":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    with ScriptedServer() as server:
        server.on("GET /.well-known/openid-configuration", reply(200, nested))
        with pytest.raises(KeysUnavailable):
            IssuerKeys(server.url).find(None, "RS256")
    assert (
        "/.well-known/openid-configuration is not a discovery document: it is nested" in caplog.text
    )
