"""The processes that are measured: hosts of several checkouts, and the references beside them.

Owns how each is started against a flyte. Must not know the figures.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.checkout import ROOT, Checkout

PLUGIN_METADATA = "Metadata-Version: 2.1\nName: flyte-pack-bench\nVersion: 0\n"
PLUGIN_ENTRY_POINT = "[flyte_host.packs]\nbench = flyte_pack_bench:BenchPack\n"
STOP_SECONDS = 20


class Subject(Protocol):
    """Anything that takes actions from a flyte; ``name`` is its name in tables."""

    @property
    def name(self) -> str: ...

    def command(self, url: str, folder: Path) -> Sequence[str]:
        """Write the files it needs into ``folder`` and return its command line."""
        ...

    def environ(self, folder: Path) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class ReferenceSubject:
    """A module of this package, with arguments behind the URL."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()

    def command(self, url: str, folder: Path) -> Sequence[str]:
        module = f"tests.benchmarks.{self.module}"
        return [sys.executable, "-m", module, url, *self.arguments]

    def environ(self, folder: Path) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class HostSubject:
    """``flyte-host serve`` of a checkout: journal on disk, INFO log to a file.

    ``traces`` is the URL of a collector; empty: none is recorded.
    """

    name: str
    checkout: Checkout
    packs: int = 1
    max_concurrent: int = 16
    isolated: bool = False
    traces: str = ""

    def command(self, url: str, folder: Path) -> Sequence[str]:
        write_plugin(folder / "plugin")
        path = folder / "flyte-host.toml"
        path.write_text("\n".join(self._config(url, folder)), encoding="utf-8")
        return [str(self.checkout.program), "serve", "--config", str(path)]

    def environ(self, folder: Path) -> Mapping[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("FLYTE_")}
        return {**ours, "PYTHONPATH": str(folder / "plugin")}

    def _config(self, url: str, folder: Path) -> Iterator[str]:
        yield f'[flyte]\nurl = "{url}"'
        yield f'[host]\nstate = "{folder}/journal.db"\nmax_concurrent = {self.max_concurrent}'
        yield '[health]\nlisten = "127.0.0.1:0"'
        if self.traces:
            yield f'[traces]\nurl = "{self.traces}"'
        for name in self.checkout.plugin_names():
            yield f"[packs.{name}]\nenabled = false"
        for number in range(self.packs):
            yield f'[packs.bench{number}]\nplugin = "bench"\nname = "Pack{number}"'
            if self.isolated:
                yield 'isolation = "process"'


def write_plugin(folder: Path) -> None:
    """Install the bench pack into ``folder``, for a process that has the folder on its path."""
    metadata = folder / "flyte_pack_bench-0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "bench_pack.py", folder / "flyte_pack_bench.py")
    (metadata / "METADATA").write_text(PLUGIN_METADATA, encoding="utf-8")
    (metadata / "entry_points.txt").write_text(PLUGIN_ENTRY_POINT, encoding="utf-8")


@contextmanager
def running(subject: Subject, url: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the process until the block ends, with its output in the file ``log`` of ``folder``."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            subject.command(url, folder),
            env=dict(subject.environ(folder)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
