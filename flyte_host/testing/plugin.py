"""The pytest fixtures that come with flyte-host; all their names start with ``flyte_``.

None is autouse: a test suite that uses none is not touched. What a fixture needs is imported when
it is first used, so that coverage of a plugin (and of the host itself) starts in time. Their types
are in ``flyte_host.testing``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flyte_host.testing import FlyteCall, FlyteRunHost, FlyteRunObserver, FlyteServer


@pytest.fixture
def flyte_call() -> "FlyteCall":
    """Call one handler: ``flyte_call(JiraPack, "IssueInfo", "FOO-1", settings={…})``.

    Decoding, timeout and encoding are the host's. The answer has ``name`` and ``payload``;
    ``expect("Issue", {…})`` compares it and explains what came instead.
    """
    from flyte_host.testing.flyte_call import FlyteCall  # noqa: PLC0415

    return FlyteCall()


@pytest.fixture
def flyte_run_observer() -> "Iterator[FlyteRunObserver]":
    """Run one observer and keep what it emits: ``flyte_run_observer(TickerPack, settings={…})``.

    The answer has ``events``, ``wait_for("Tick")`` and ``stop()``.
    """
    from flyte_host.testing.flyte_run_observer import FlyteRunObserver  # noqa: PLC0415

    observers = FlyteRunObserver()
    try:
        yield observers
    finally:
        observers.stop_all()


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
def flyte_run_host(flyte_server: "FlyteServer", tmp_path: Path) -> "Iterator[FlyteRunHost]":
    """Run a host at ``flyte_server``: ``flyte_run_host({"jira": JiraPack}, packs={…})``.

    The first argument has plugins by the name of their entry point, as objects or as texts like
    ``"my_pack:MyPack"``, which a pack with ``isolation = "process"`` needs; ``packs`` has
    the ``[packs.…]`` tables; further keywords are keys of ``[host]``. The host is ready when
    the call returns, and is stopped after the test.
    """
    from flyte_host.testing.flyte_run_host import FlyteRunHost  # noqa: PLC0415

    hosts = FlyteRunHost(flyte_server, tmp_path)
    try:
        yield hosts
    finally:
        hosts.stop_all()
