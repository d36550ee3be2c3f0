"""The pytest fixtures that come with flyte-host; all their names start with ``flyte_``.

None is autouse: a test suite that uses none is not touched. The host is imported when a fixture is
first used, so that coverage of a plugin (and of the host itself) starts in time.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flyte_host.testing.flyte_server import FlyteServer
    from flyte_host.testing.running_host import Called, RunningHost


@pytest.fixture
def flyte_server() -> "Iterator[FlyteServer]":
    """A running embedded flyte: ``url``, ``put_flow``, ``send_event``, ``run``, ``events`` …"""
    from flyte_host.testing.flyte_server import FlyteServer  # noqa: PLC0415

    server = FlyteServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def flyte_run_host(
    flyte_server: "FlyteServer", tmp_path: Path
) -> "Iterator[Callable[..., RunningHost]]":
    """Run a host at ``flyte_server``: ``flyte_run_host({"jira": JiraPack}, packs={…})``.

    The first argument are plugins by the name of their entry point, as objects, or as texts like
    ``"my_pack:MyPack"``, which a pack with ``isolation = "process"`` needs; ``packs`` the
    ``[packs.…]`` tables, further keywords keys of ``[host]``. The host is ready when the call
    returns, and is stopped after the test.
    """
    from flyte_host.host.host import Host  # noqa: PLC0415
    from flyte_host.secrets import Scrubber  # noqa: PLC0415
    from flyte_host.testing import running_host as kit  # noqa: PLC0415

    running: list[kit.RunningHost] = []

    def run(
        plugins: Mapping[str, object],
        packs: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        wait_ready: bool = True,
        **host: Any,
    ) -> kit.RunningHost:
        state = tmp_path / f"flyte-host-{len(running)}.db"
        config = kit.host_config(flyte_server.url, state, packs or {}, host)
        made = Host(config, kit.install(plugins), os.environ, Scrubber())
        flyte_server.on_action.append(made.schedule.wake)
        made.start()
        running.append(kit.RunningHost(made))
        if wait_ready:
            running[-1].wait_ready()
        return running[-1]

    try:
        yield run
    finally:
        for each in running:
            each.stop()


@pytest.fixture
def flyte_call() -> "Callable[..., Called]":
    """Call one handler: ``flyte_call(JiraPack, "IssueInfo", "FOO-1", settings={…})``.

    Decoding, timeout and encoding are the host's; the answer has ``name`` and ``payload``.
    """
    from flyte_host.testing.running_host import call  # noqa: PLC0415

    def call_handler(
        plugin: object,
        command: str,
        input: Any = None,
        settings: Mapping[str, Any] | None = None,
    ) -> "Called":
        return call(plugin, command, input, settings)

    return call_handler
