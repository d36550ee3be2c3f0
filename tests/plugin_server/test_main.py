"""The program of a process with one plugin in it."""

from tests.support.script import run_script


def test_it_loads_no_http() -> None:
    """Each plugin with a process of its own pays for what is imported here."""
    script = "import flyte_host.plugin_server.__main__, sys; print(*sys.modules)"
    done = run_script(script)
    loaded = set(done.stdout.split())
    assert "flyte_host.client.wire" in loaded
    assert loaded.isdisjoint({"requests", "urllib3", "http.client"})
