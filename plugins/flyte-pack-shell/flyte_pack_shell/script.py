"""Runs one script in a process group of its own, and ends groups that must not go on.

Owns processes, pipes and time limits. Must not know flyte: no events, no payloads.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, cast

_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Finished:
    """What a script left: its output as text, and -1 as its exit code if a signal killed it."""

    stdout: str
    stderr: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Shell:
    """How scripts are started."""

    bash: str
    environment: Mapping[str, str]
    working_directory: str | None
    max_output_bytes: int

    def start(self, script: str) -> "Running":
        """Raises OSError or ValueError if there is no way to run it."""
        # A session of its own: every child that stays in it dies with the script when killed.
        return Running(
            subprocess.Popen(  # noqa: S603  running what flows ask for is what this pack is for
                [self.bash, "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self.environment),
                cwd=self.working_directory,
                start_new_session=True,
            ),
            self.max_output_bytes,
        )


class Running:
    """A started script."""

    def __init__(self, process: subprocess.Popen[bytes], max_output_bytes: int) -> None:
        self._process = process
        self._stdout = _Kept("stdout", max_output_bytes)
        self._stderr = _Kept("stderr", max_output_bytes)
        self._killed_because = ""

    def finish(self, limit_seconds: float | None, limited_by: str = "") -> Finished:
        """Wait until the script and all who hold its output are done; past the limit kill them."""
        ends_at = None if limit_seconds is None else time.monotonic() + limit_seconds
        with self._process:
            if not (self._read_until(ends_at) and self._exits_until(ends_at)):
                self.kill(f"killed after {limit_seconds:.6g} s ({limited_by})")
        return self._finished()

    def kill(self, reason: str) -> bool:
        """End the whole group; False if the script was done already."""
        # Once the script was waited for, the number of its group may belong to somebody else.
        if self._process.returncode is not None:
            return False
        self._killed_because = reason
        # Gone by itself just now, or what is left of it runs as another user.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return True

    def _read_until(self, ends_at: float | None) -> bool:
        """Whether both pipes were closed in time; does not wait for the process itself."""
        with selectors.DefaultSelector() as selector:
            for pipe, kept in (
                (self._process.stdout, self._stdout),
                (self._process.stderr, self._stderr),
            ):
                selector.register(cast("IO[bytes]", pipe), selectors.EVENT_READ, kept)
            while selector.get_map():
                left = _left(ends_at)
                if left == 0:
                    return False
                for key, _ in selector.select(left):
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    key.data.add(chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
        return True

    def _exits_until(self, ends_at: float | None) -> bool:
        try:
            self._process.wait(_left(ends_at))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _finished(self) -> Finished:
        notes = [*self._stdout.notes(), *self._stderr.notes()]
        if self._killed_because:
            notes.append(self._killed_because)
        return Finished(
            self._stdout.text(),
            _with_notes(self._stderr.text(), notes),
            max(self._process.returncode, -1),
        )


@dataclass(slots=True)
class _Kept:
    """The first bytes of a stream."""

    name: str
    limit_bytes: int
    kept: bytearray = field(default_factory=bytearray)
    dropped_bytes: int = 0

    def add(self, chunk: bytes) -> None:
        room = self.limit_bytes - len(self.kept)
        self.kept += chunk[:room]
        self.dropped_bytes += max(len(chunk) - room, 0)

    def text(self) -> str:
        return self.kept.decode("utf-8", errors="replace")

    def notes(self) -> Iterator[str]:
        if self.dropped_bytes:
            yield (
                f"{self.dropped_bytes} bytes of {self.name} were dropped"
                f" (max_output_bytes = {self.limit_bytes})"
            )


class RunningScripts:
    """The scripts that run now, so that the end of the host can be theirs too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: set[Running] = set()
        self._ended_because = ""

    @contextmanager
    def keeping(self, script: Running) -> Iterator[Running]:
        """Count the script as running in this block."""
        with self._lock:
            self._scripts.add(script)
        if self._ended_because:
            script.kill(self._ended_because)
        try:
            yield script
        finally:
            with self._lock:
                self._scripts.discard(script)

    def end(self, reason: str) -> None:
        """Kill those that run, and from now on every other as it comes."""
        with self._lock:
            self._ended_because = reason
            scripts = list(self._scripts)
        for script in scripts:
            script.kill(reason)


def _left(ends_at: float | None) -> float | None:
    return None if ends_at is None else max(ends_at - time.monotonic(), 0)


def _with_notes(stderr: str, notes: list[str]) -> str:
    if not notes:
        return stderr
    separator = "\n" if stderr and not stderr.endswith("\n") else ""
    return stderr + separator + "".join(f"flyte-pack-shell: {note}\n" for note in notes)
