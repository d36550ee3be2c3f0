"""Fixtures of the host's own tests; those for plugin authors are in flyte_host.testing."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.warm_process import WarmProcess

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background so, and each process of a test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[str, str], Path]:
    """Install a plugin for subprocesses: ``installed("name", "source of its module")``.

    Returns the folder to put on PYTHONPATH. The module defines ``plugin``.
    """
    site = tmp_path / "site"

    def install(name: str, source: str, *, distribution: str | None = None) -> Path:
        project = (distribution or name).replace("-", "_")
        module = f"installed_{project}"
        info = site / f"{project}-1.2.3.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        metadata = f"Metadata-Version: 2.1\nName: {distribution or name}\nVersion: 1.2.3\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        entry = f"[flyte_host.packs]\n{name} = {module}:plugin\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        return site

    return install


@pytest.fixture
def flyte_host_environ(tmp_path: Path) -> dict[str, str]:
    """An environment for ``flyte-host`` without a FLYTE_* variable of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    return kept | {"PYTHONPATH": str(tmp_path / "site")}


@pytest.fixture
def flyte_host(tmp_path: Path, flyte_host_environ: dict[str, str]) -> Run:
    """Run ``flyte-host`` with arguments in ``tmp_path``; returns the finished process."""

    def run(
        *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        process = WarmProcess(arguments, tmp_path, {**flyte_host_environ, **(environ or {})})
        stdout, stderr = process.communicate(stdin, PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.wait(), stdout, stderr)

    return run
