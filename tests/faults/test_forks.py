"""Processes that a plugin forks own nothing of the host, and their results go nowhere."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import wait_until
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

ROOT = Path(__file__).parents[2]
ISOLATION = {"here": "", "isolated": "isolation = 'process'\n"}


@pytest.fixture(params=ISOLATION)
def isolation(request: pytest.FixtureRequest) -> str:
    return ISOLATION[request.param]


@pytest.fixture
def host(
    isolation: str,
    flyte_server: FlyteServer,
    installed: Callable[..., Path],
    tmp_path: Path,
    flyte_host_environ: dict[str, str],
) -> Iterator[Serving]:
    installed("forking", "from tests.support.forking_pack import ForkingPack as plugin")
    others = disabled_packs()
    (tmp_path / "flyte-host.toml").write_text(
        f"[flyte]\nurl = '{flyte_server.url}'\n[host]\npoll_interval_seconds = 0.1\n"
        f"[health]\nlisten = '127.0.0.1:0'\n{others}[packs.forking]\n{isolation}"
    )
    path = f"{flyte_host_environ['PYTHONPATH']}{os.pathsep}{ROOT}"
    with Serving(tmp_path, flyte_host_environ | {"PYTHONPATH": path}) as serving:
        serving.wait_ready()
        yield serving


def test_a_worker_can_be_terminated(host: Serving, flyte_server: FlyteServer) -> None:
    for _ in range(10):  # a signal may come before the worker has begun
        ended = flyte_server.run("Forking", "terminate", timeout_seconds=30)
        assert ended.payload == -signal.SIGTERM


def test_memory_and_environment_are_hidden_from_other_processes(
    host: Serving, flyte_server: FlyteServer
) -> None:
    assert flyte_server.run("Forking", "dumpable").payload == 0


def test_a_pool_of_workers_computes(host: Serving, flyte_server: FlyteServer) -> None:
    assert flyte_server.run("Forking", "compute", [-1, 2, -3]).payload == [1, 2, 3]


@pytest.mark.parametrize("command", ["fork", "fork_async"])
def test_a_child_that_returns_from_a_handler_ends(
    host: Serving, flyte_server: FlyteServer, tmp_path: Path, command: str
) -> None:
    mark = tmp_path / "pids"
    assert flyte_server.run("Forking", command, str(mark)).payload == 0
    assert len(mark.read_text().split()) == 2
    results = [each for each in flyte_server.events("Forking") if each[2] in {0, "child"}]
    assert results == [("Forking", "Out", 0)]


def test_a_child_that_raises_ends(host: Serving, flyte_server: FlyteServer) -> None:
    assert flyte_server.run("Forking", "fork_and_raise", "").payload == 1


def test_a_child_of_an_observer_raises_no_event(host: Serving, flyte_server: FlyteServer) -> None:
    assert flyte_server.wait_for_event("Forking", "Out") == "parent"
    assert flyte_server.run("Forking", "terminate").payload == -signal.SIGTERM
    assert "child" not in [each[2] for each in flyte_server.events("Forking")]


def connections_to(port: int | None) -> set[str]:
    """The sockets of this machine that are connected to the port, as /proc links to them."""
    rows = [each.split() for each in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}
    assert found, "the host has some"
    return found


def test_a_worker_keeps_neither_journal_nor_connections_nor_port_of_a_host_that_is_gone(
    host: Serving, flyte_server: FlyteServer
) -> None:
    pid = flyte_server.run("Forking", "linger").payload
    port = urlsplit(host.health_url).port
    try:
        links = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
        assert not [each for each in links if ".db" in each]
        assert not links & connections_to(urlsplit(flyte_server.url).port)
        assert flyte_server.run("Forking", "dumpable").event == "Out", "the host's own continue"
        host.signal(signal.SIGKILL)
        wait_until(lambda: not host.runs, "the host is gone")
        assert Path(f"/proc/{pid}").exists()

        def is_refused() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) != 0

        wait_until(is_refused, "the port is free")
    finally:
        os.kill(pid, signal.SIGKILL)
