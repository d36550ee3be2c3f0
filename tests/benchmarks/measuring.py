"""Takes one measurement: starts a stub flyte and one subject, and collects the figures.

No process stays behind, and a subject that ends early is an error with its log.
"""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tests.benchmarks.checkout import ROOT
from tests.benchmarks.process_meter import descriptor_count, memory_bytes, thread_count
from tests.benchmarks.subjects import Subject, running
from tests.benchmarks.workload import Sample, Workload

LIMIT_SECONDS = 120
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Measured:
    """The stub's sample, and what was read from the process when it was complete."""

    sample: Sample
    process_started_at: float
    memory_bytes: int
    threads: int
    descriptors: int
    packs: int

    @property
    def actions_per_second(self) -> float:
        return self.sample.actions / self.sample.seconds

    @property
    def cpu_microseconds(self) -> float:
        """For each action."""
        return 1e6 * self.sample.cpu_seconds / self.sample.actions

    @property
    def collisions_per_action(self) -> float:
        return self.sample.collisions / self.sample.actions

    @property
    def start_seconds(self) -> float:
        """From the start of the process until flyte knew every pack."""
        return self.sample.registered_at - self.process_started_at

    @property
    def registering_seconds(self) -> float:
        return self.sample.registered_at - self.sample.first_request_at

    @property
    def megabytes(self) -> float:
        return self.memory_bytes / 1e6

    @property
    def core_percent(self) -> float:
        return 100 * self.sample.cpu_seconds / self.sample.seconds

    @property
    def stub_core_percent(self) -> float:
        return 100 * self.sample.stub_cpu_seconds / self.sample.seconds

    @property
    def takes_per_minute(self) -> float:
        """Of each pack."""
        return 60 * self.sample.takes / self.sample.seconds / self.packs

    def flow_seconds(self, part: float) -> float:
        """The quantile ``part`` of the flows."""
        ordered = sorted(self.sample.flow_seconds)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def measure(subject: Subject, workload: Workload) -> Measured:
    """Raises RuntimeError if the subject ends on its own or takes longer than LIMIT_SECONDS."""
    with TemporaryDirectory(prefix="flyte-bench-") as name, _stub(workload) as stub:
        folder = Path(name)
        assert stub.stdin is not None
        assert stub.stdout is not None
        url = f"http://127.0.0.1:{int(stub.stdout.readline())}"
        started_at = time.monotonic()
        with running(subject, url, folder) as process:
            stub.stdin.write(f"{process.pid}\n")
            stub.stdin.flush()
            _wait(stub.stdout, process, subject, folder / "log")
            sample = Sample.from_line(stub.stdout.readline())
            return Measured(
                sample,
                started_at,
                memory_bytes(process.pid),
                thread_count(process.pid),
                descriptor_count(process.pid),
                workload.packs,
            )


@contextmanager
def _stub(workload: Workload) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.stub_flyte", workload.to_line()],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _wait(output: IO[str], process: "subprocess.Popen[bytes]", subject: Subject, log: Path) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not select.select([output], [], [], LOOK_SECONDS)[0]:
        problem = ""
        if process.poll() is not None:
            problem = f"ended with status {process.returncode}"
        elif time.monotonic() > deadline:
            problem = f"did not do its work within {LIMIT_SECONDS} s"
        if problem:
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{subject.name} {problem}; its log ends with: {said}")
