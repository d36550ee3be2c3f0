"""Embedded flyte as configured: its flows come from files, its address may be taken."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.config import EmbeddedConfig
from flyte_host.errors import ConfigError, FlyteHostError
from flyte_host.host.embedded_server import EmbeddedServer, check_embedded
from flyte_host.testing.waiting import wait_until

Serve = Callable[..., EmbeddedServer]


def write_flow(folder: Path, file: str, name: str) -> None:
    (folder / file).write_text(f"name: {name}\nsteps: []\n", encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path) -> EmbeddedConfig:
    """A store on disk, and all flows of a folder."""
    return EmbeddedConfig("127.0.0.1:0", tmp_path / "flyte.db", (f"{tmp_path}/*.yaml",))


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[EmbeddedServer] = []

    def serve(config: EmbeddedConfig) -> EmbeddedServer:
        servers.append(EmbeddedServer(config))
        servers[-1].start()
        return servers[-1]

    yield serve
    for each in servers:
        each.stop()


def flows(server: EmbeddedServer) -> list[str]:
    found = requests.get(f"{server.url}/v1/flows", timeout=20).json()["flows"]
    return [each["name"] for each in found]


def test_a_flow_that_is_renamed_in_its_file_does_not_stay(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It fired twice: under its old name and under its new one."""
    write_flow(tmp_path, "a.yaml", "old")
    write_flow(tmp_path, "b.yaml", "kept")
    before = serve(config)
    posted = {"name": "posted", "steps": []}
    assert requests.post(f"{before.url}/v1/flows", json=posted, timeout=20).status_code == 201
    before.stop()
    write_flow(tmp_path, "a.yaml", "new")
    assert check_embedded(config) == ["old"]
    after = serve(config)
    assert flows(after) == ["kept", "new", "posted"]
    assert "flow old is no longer in any file: deleting it" in caplog.messages
    assert check_embedded(config) == []


def test_a_flow_of_a_file_is_owned_although_it_was_posted_first(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "other")
    before = serve(config)
    for name in ("same", "mine"):
        body: dict[str, Any] = {"name": name, "steps": []}
        assert requests.post(f"{before.url}/v1/flows", json=body, timeout=20).status_code == 201
    before.stop()
    write_flow(tmp_path, "b.yaml", "same")
    serve(config).stop()
    (tmp_path / "b.yaml").unlink()
    assert flows(serve(config)) == ["mine", "other"]


def test_a_bad_file_changes_nothing_in_the_store(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "first")
    serve(config).stop()
    write_flow(tmp_path, "a.yaml", "second")
    (tmp_path / "b.yaml").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError):
        EmbeddedServer(config)
    (tmp_path / "b.yaml").unlink()
    write_flow(tmp_path, "a.yaml", "first")
    assert flows(serve(config)) == ["first"]


def test_every_bad_flow_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nsteps: 7\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("{", encoding="utf-8")
    (tmp_path / "c.yaml").mkdir()
    write_flow(tmp_path, "d.yaml", "same")
    write_flow(tmp_path, "e.yaml", "same")
    config = EmbeddedConfig("127.0.0.1:0", None, (f"{tmp_path}/*.yaml", f"{tmp_path}/*.yml"))
    with pytest.raises(ConfigError) as caught:
        EmbeddedServer(config)
    problems = caught.value.problems
    named = ("a.yaml", "b.yaml", "c.yaml", "*.yml", "e.yaml")
    assert sorted(each for each in named if each in str(problems)) == sorted(named)
    assert problems[-1] == (
        f'flyte.embedded.flows: {tmp_path}/e.yaml: found flow "same", which is also in '
        f"{tmp_path}/d.yaml; expected each name once"
    )


def test_a_file_may_match_two_patterns(serve: Serve, tmp_path: Path) -> None:
    write_flow(tmp_path, "a.yaml", "a")
    patterns = (f"{tmp_path}/*.yaml", f"{tmp_path}/a.*")
    assert flows(serve(EmbeddedConfig("127.0.0.1:0", None, patterns))) == ["a"]


@pytest.mark.parametrize("content", [b"", b"this is not a database"])
def test_a_check_reads_a_store_that_it_cannot_use(
    config: EmbeddedConfig, tmp_path: Path, content: bytes
) -> None:
    write_flow(tmp_path, "a.yaml", "a")
    assert config.store is not None
    config.store.write_bytes(content)
    assert check_embedded(config) == []
    assert config.store.read_bytes() == content


def test_executions_are_kept_for_ttl_days(serve: Serve) -> None:
    server = serve(EmbeddedConfig("127.0.0.1:0", None, ttl_days=1e-9))

    def call(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{server.url}{path}", json=body, timeout=20)

    step = {"event": {"name": "E", "packName": "P"}, "command": {"name": "c", "packName": "P"}}
    call("POST", "/v1/packs", {"name": "P"})
    call("POST", "/v1/flows", {"name": "f", "steps": [step]})
    before = server.store_bytes()
    assert call("POST", "/v1/packs/P/events", {"event": "E", "payload": "x" * 100_000}).ok
    assert server.store_bytes() > before + 80_000
    wait_until(lambda: not call("GET", "/v1/audit/flows").json()["flows"], "it is forgotten")


def test_a_port_in_use_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
        config = EmbeddedConfig(listen=f"127.0.0.1:{port}", store=None)
        with pytest.raises(FlyteHostError, match="embedded flyte: cannot listen on"):
            EmbeddedServer(config).start()
