"""A host in whose environment the extra ``metrics`` is not installed."""

import signal
from pathlib import Path

from flyte_host.testing.flyte_server import FlyteServer
from tests.support.serving import Serving

CONFIG = """
[flyte]
url = "{url}"
[health]
listen = "127.0.0.1:0"
"""


def test_it_serves_and_says_how_to_get_it(
    tmp_path: Path, flyte_host_environ: dict[str, str], flyte_server: FlyteServer
) -> None:
    (tmp_path / "site").mkdir()
    missing = tmp_path / "site" / "prometheus_client.py"
    missing.write_text("raise ImportError('No module named prometheus_client')", encoding="utf-8")
    file = tmp_path / "flyte-host.toml"
    file.write_text(CONFIG.format(url=flyte_server.url), encoding="utf-8")
    with Serving(tmp_path, flyte_host_environ) as host:
        status, document = host.page("/metrics")
        assert status == 404
        assert document == {
            "error": "/metrics needs more than is installed (No module named prometheus_client): "
            "pip install 'flyte-host[metrics]'"
        }
        assert host.page("/live")[0] == 200
        host.wait_ready()
        host.signal(signal.SIGTERM)
        host.ended()
        assert host.messages("failed") == []
