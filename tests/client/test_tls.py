"""The client over real TLS, with certificates made here."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from flyte_host.client.token import Token
from flyte_host.errors import ConfigError, FlyteAway
from flyte_host.secrets import SecretRef
from tests.support.host_parts import client_for
from tests.support.scripted_server import ScriptedServer, links, reply

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@contextlib.contextmanager
def serving(ca: trustme.CA, name: str = "localhost", *, mutual: bool = False) -> Iterator[Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    if mutual:
        ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    with ScriptedServer(context) as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on("GET /health", reply(200))
        yield server


def health(url: str, **settings: Any) -> None:
    client = client_for(url, **settings)
    try:
        client.health()
    finally:
        client.close()


def away(url: str, **settings: Any) -> FlyteAway:
    with pytest.raises(FlyteAway) as caught:
        health(url, **settings)
    assert "0x" not in str(caught.value)
    return caught.value


def test_a_known_ca(ca: trustme.CA, ca_file: Path) -> None:
    token = Token(SecretRef(env="T"), {"T": "s3cret"})
    with serving(ca) as server:
        health(server.url, ca_file=ca_file, token=token)
        assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer s3cret"}


def test_an_unknown_ca(ca: trustme.CA) -> None:
    with serving(ca) as server:
        error = away(server.url)
        assert server.requests == []
    assert str(error) == (
        f"GET {server.url}/v1: certificate verify failed for localhost:{server.port}: "
        "unable to get local issuer certificate"
    )
    assert not error.may_have_arrived


def test_a_ca_file_replaces_the_usual_cas(ca: trustme.CA, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with serving(ca) as server:
        assert "certificate verify failed" in str(away(server.url, ca_file=tmp_path / "other.pem"))


def test_a_wrong_host_name(ca: trustme.CA, ca_file: Path) -> None:
    with serving(ca, "flyte.example") as server:
        error = away(server.url, ca_file=ca_file)
        assert server.requests == []
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in str(error)
    assert not error.may_have_arrived


def test_no_verification_is_told_once(ca: trustme.CA, caplog: pytest.LogCaptureFixture) -> None:
    with serving(ca, "flyte.example") as server:
        client = client_for(server.url, verify=False)
        for _ in range(2):
            client.health()
            client.close()
        assert len(server.requests) == 3
        assert server.connections == 2
    ours = [record for record in caplog.records if record.name.startswith("flyte_host")]
    assert [record.levelno for record in ours] == [logging.WARNING]
    assert ours[0].getMessage() == (
        f"verify = false: the certificate of {server.url} is unchecked: anyone in between can "
        "read the token"
    )


def pem(directory: Path, ca: trustme.CA, password: bytes | None = None) -> tuple[Path, Path]:
    cert = ca.issue_cert("pack.example")
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert.cert_chain_pems[0].write_to_path(cert_file)
    key = cert.private_key_pem.bytes()
    if password:
        key = load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
        )
    key_file.write_bytes(key)
    return cert_file, key_file


def test_a_client_certificate_is_missed(ca: trustme.CA, ca_file: Path) -> None:
    with serving(ca, mutual=True) as server:
        error = away(server.url, ca_file=ca_file)
        assert server.requests == []
    # Whether the alert or the end of the connection is seen first is up to the kernel.
    assert "CERTIFICATE_REQUIRED" in str(error) or f"localhost:{server.port}" in str(error)
    assert error.may_have_arrived


def test_a_client_certificate_is_given(ca: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    cert_file, key_file = pem(tmp_path, ca)
    with serving(ca, mutual=True) as server:
        health(server.url, ca_file=ca_file, client_cert_file=cert_file, client_key_file=key_file)


def test_a_client_certificate_and_its_key_in_one_file(
    ca: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    ca.issue_cert("pack.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both")
    with serving(ca, mutual=True) as server:
        health(server.url, ca_file=ca_file, client_cert_file=tmp_path / "both")


def test_plain_http_where_tls_is_expected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        port = listener.getsockname()[1]

        def answer_at_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                while connection.recv(4096):
                    pass

        pool.submit(answer_at_once)
        error = away(f"https://localhost:{port}")
    assert f"TLS with localhost:{port} failed: " in str(error)


def problem(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        client_for("https://localhost", **settings)
    (text,) = caught.value.problems
    return text


def test_files_that_are_not_there(ca: trustme.CA, tmp_path: Path) -> None:
    cert_file, _ = pem(tmp_path, ca)
    gone = tmp_path / "gone"
    assert problem(ca_file=gone) == f"ca_file {gone} cannot be used: No such file or directory"
    assert problem(client_cert_file=cert_file, client_key_file=gone) == (
        f"client_cert_file {cert_file}, client_key_file {gone} cannot be used: "
        "No such file or directory"
    )


def test_files_that_hold_something_else(ca: trustme.CA, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    cert_file, _ = pem(tmp_path, ca)
    assert problem(ca_file=junk).startswith(f"ca_file {junk} cannot be used: ")
    found = problem(client_cert_file=cert_file)
    assert found.startswith(f"client_cert_file {cert_file} cannot be used: ")


def test_a_key_without_a_certificate(tmp_path: Path) -> None:
    assert problem(client_key_file=tmp_path / "key") == (
        f"client_key_file {tmp_path}/key needs a client_cert_file beside it"
    )


def test_an_encrypted_key_does_not_wait_for_a_password(ca: trustme.CA, tmp_path: Path) -> None:
    cert_file, key_file = pem(tmp_path, ca, b"secret")
    found = problem(client_cert_file=cert_file, client_key_file=key_file)
    assert found.endswith("cannot be used: the key is encrypted, expected one without a password")
