"""The program of a process with one plugin in it."""

import subprocess
import sys

from flyte_host.testing.waiting import PATIENCE_SECONDS


def test_it_loads_no_http() -> None:
    """Each plugin with a process of its own pays for what is imported here."""
    script = "import flyte_host.plugin_server.__main__, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert "flyte_host.client.wire" in loaded
    assert loaded.isdisjoint({"requests", "urllib3", "http.client"})
