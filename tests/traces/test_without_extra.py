"""A host in whose environment the extra ``otel`` is not installed."""

import signal
from pathlib import Path

import pytest

from flyte_host.testing.flyte_server import FlyteServer
from tests.support.serving import Serving

CONFIG = """
[flyte]
url = "{url}"
[health]
listen = "127.0.0.1:0"
"""
TRACES = """
[traces]
url = "http://127.0.0.1:1"
"""


@pytest.fixture
def folder(tmp_path: Path, flyte_server: FlyteServer) -> Path:
    """With a configuration, in an environment that has no OpenTelemetry."""
    (tmp_path / "site").mkdir()
    missing = tmp_path / "site" / "opentelemetry.py"
    missing.write_text("raise ImportError('No module named opentelemetry')", encoding="utf-8")
    text = CONFIG.format(url=flyte_server.url)
    (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_host_without_traces_serves(folder: Path, flyte_host_environ: dict[str, str]) -> None:
    with Serving(folder, flyte_host_environ) as host:
        host.wait_ready()
        host.signal(signal.SIGTERM)
        assert host.ended() == -signal.SIGTERM


def test_a_host_with_traces_says_how_to_get_it(
    folder: Path, flyte_host_environ: dict[str, str]
) -> None:
    file = folder / "flyte-host.toml"
    file.write_text(file.read_text(encoding="utf-8") + TRACES, encoding="utf-8")
    with Serving(folder, flyte_host_environ) as host:
        assert host.ended() == 1
        told = "\n".join([*host.errors, *host.messages()])
    assert (
        "[traces] needs more than is installed (No module named opentelemetry): "
        "pip install 'flyte-host[otel]'"
    ) in told
