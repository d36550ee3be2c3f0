"""Certificates turn while the client runs, on both engines."""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.errors import FlyteAway
from tests.support.host_parts import client_for
from tests.support.scripted_server import ScriptedServer, links, reply

Connect = Callable[[], FlyteClient]

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def other_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(ca: trustme.CA, other_ca: trustme.CA) -> Iterator[ScriptedServer]:
    """It shows a certificate of ``other_ca`` and wants one of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other_ca.issue_cert("localhost").configure_cert(context)
    other_ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with ScriptedServer(context) as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on("GET /health", reply(200))
        yield server


@pytest.fixture
def connect(server: ScriptedServer, files: dict[str, Path]) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect() -> FlyteClient:
            ca_file, cert_file = files["ca_file"], files["client_cert_file"]
            client = client_for(server.url, ca_file=ca_file, client_cert_file=cert_file)
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def files(ca: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """Good files of the wrong authority."""
    made = {"ca_file": tmp_path / "ca.pem", "client_cert_file": tmp_path / "both.pem"}
    put(ca, made)
    return made


def put(ca: trustme.CA, files: dict[str, Path]) -> None:
    """Write beside it, and rename: nobody reads half a file."""
    made = {
        "ca_file": ca.cert_pem,
        "client_cert_file": ca.issue_cert("pack.example").private_key_and_cert_chain_pem,
    }
    for name, file in files.items():
        made[name].write_to_path(file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)


def log_of(caplog: Any) -> list[tuple[int, str]]:
    return [(each.levelno, each.getMessage()) for each in caplog.records
            if each.name == "flyte_host.client.tls_files"]  # fmt: skip


def test_new_files_are_used_without_a_restart(
    other_ca: trustme.CA,
    server: ScriptedServer,
    files: dict[str, Path],
    connect: Connect,
    caplog: Any,
) -> None:
    caplog.set_level(logging.INFO)
    client = connect()
    with pytest.raises(FlyteAway, match="certificate verify failed"):
        client.health()
    put(other_ca, files)
    client.outage.succeeded()
    client.health()
    client.health()
    assert server.connections == 2
    assert log_of(caplog) == [
        (logging.INFO, "the TLS files have changed: new connections to flyte use them")
    ]


def test_open_connections_end_after_a_change(
    other_ca: trustme.CA, server: ScriptedServer, files: dict[str, Path], connect: Connect
) -> None:
    put(other_ca, files)
    client = connect()
    client.health()
    put(other_ca, files)
    client.health()
    assert server.connections == 2


def test_files_that_cannot_be_used_are_told_and_connections_stay(
    other_ca: trustme.CA,
    server: ScriptedServer,
    files: dict[str, Path],
    connect: Connect,
    caplog: Any,
) -> None:
    put(other_ca, files)
    client = connect()
    client.health()
    files["client_cert_file"].unlink()
    client.health()
    client.health()
    assert server.connections == 1
    [(level, told)] = log_of(caplog)
    assert level == logging.WARNING
    assert told == (
        "the TLS files have changed and cannot be used; keeping open connections: "
        f"client_cert_file {files['client_cert_file']} "
        "cannot be used: No such file or directory"
    )
    put(other_ca, files)
    client.health()
    assert server.connections == 2
