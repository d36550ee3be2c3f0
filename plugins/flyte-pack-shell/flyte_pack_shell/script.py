"""Runs each script in its own process group, and ends groups that must not continue.

Owns processes, pipes and time limits. Must not know flyte: no events, no payloads.
"""

import errno
import math
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, cast

from flyte_pack_shell.kept_output import KeptOutput
from flyte_pack_shell.lifeline import Lifeline

_CHUNK_BYTES = 65536
_LONGEST_LOOK_SECONDS = 3600
"""epoll waits no longer than 24 days at once."""
_DEATH_SECONDS = 1.0
"""How long the kernel may take to end what was killed."""
LONGEST_ARGUMENT_BYTES = 100_000
"""A longer script is passed as a file: Linux takes no argument of 128 KiB."""

_limits = threading.Lock()


class CannotRun(Exception):
    """The script cannot run; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class FinishedScript:
    """A script's output as text, and its exit code, -1 if a signal killed it."""

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
        """Raises CannotRun."""
        with ExitStack() as undo:
            try:
                lifeline = Lifeline()
                undo.callback(lifeline.close)
                with _in_arguments(script) as (arguments, descriptors), _whole_memory():
                    process = self._popen(arguments, (*descriptors, lifeline.descriptor))
            except (OSError, ValueError) as error:
                raise CannotRun(self._explain(error)) from error
            lifeline.hold(process.pid)
            undo.pop_all()
        return Running(process, lifeline, self.max_output_bytes)

    def _popen(
        self, arguments: list[str], descriptors: tuple[int, ...]
    ) -> "subprocess.Popen[bytes]":
        # A new session: every child that stays in it dies with the script when killed.
        return subprocess.Popen(  # noqa: S603  running what flows ask for is what this pack is for
            [self.bash, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self.environment),
            cwd=self.working_directory,
            pass_fds=descriptors,
            start_new_session=True,
        )

    def _explain(self, error: OSError | ValueError) -> str:
        if not isinstance(error, OSError):
            has_surrogates = isinstance(error, UnicodeEncodeError)
            what = "half a surrogate pair" if has_surrogates else "a NUL"
            return f"cannot run the script: {error}: a script cannot have {what} in it"
        if error.errno == errno.E2BIG:
            return (
                f"cannot run the script: {error.strerror}: the environment of the host is too "
                "large; list in the setting environment what scripts need"
            )
        found = f"cannot run {self.bash}: {error}"
        if error.filename is not None and error.filename == self.working_directory:
            return f"{found}; the setting working_directory must name a folder that can be entered"
        if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
            return f"{found}; is it installed, and is the setting bash right?"
        if error.errno == errno.ENOEXEC:
            return f"{found}; the setting bash must name a program"
        return f"{found}; the system cannot start another process at the moment"


@contextmanager
def _in_arguments(script: str) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Arguments that make bash run the script, and the descriptors that it must inherit."""
    encoded = script.encode("utf-8", "surrogateescape")
    if len(encoded) <= LONGEST_ARGUMENT_BYTES:
        yield ["-c", script], ()
        return
    if "\0" in script:
        raise ValueError("embedded null byte")
    descriptor = os.memfd_create("script")
    with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor
        file.write(encoded)
        file.flush()
        # Sourced, so that $0, exit and return mean what they mean with -c.
        yield ["-c", f". /dev/fd/{descriptor}"], (descriptor,)


@contextmanager
def _whole_memory() -> Iterator[None]:
    """Start processes without memory_limit_mb, which is meant for this process, not for them."""
    with _limits:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class Running:
    """A started script."""

    def __init__(
        self, process: subprocess.Popen[bytes], lifeline: Lifeline, max_output_bytes: int
    ) -> None:
        self._process = process
        self._out, self._err = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        self._lifeline = lifeline
        self._stdout = KeptOutput("stdout", max_output_bytes)
        self._stderr = KeptOutput("stderr", max_output_bytes)
        self._killed_because = ""

    def finish(self, limit_seconds: float | None, limited_by: str = "") -> FinishedScript:
        """Wait until the script and all who hold its output are done; kill them past the limit."""
        ends_at = None if limit_seconds is None else time.monotonic() + limit_seconds
        with closing(self._lifeline), closing(self._out), closing(self._err):
            if not (self._read_until(ends_at) and self._exits_until(ends_at)):
                self.kill(f"killed after {limit_seconds:.6g} s ({limited_by})")
                self._exits_until(time.monotonic() + _DEATH_SECONDS)
        return self._finished()

    def kill(self, reason: str) -> bool:
        """End the whole group; False if the script was done already."""
        # Once somebody waited for the script, its group's number may belong to another process.
        if self._process.returncode is not None:
            return False
        self._killed_because = reason
        # It has just ended, or the rest of it runs as another user.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return True

    def _read_until(self, ends_at: float | None) -> bool:
        """Whether both pipes were closed in time; does not wait for the process itself."""
        with selectors.DefaultSelector() as selector:
            for pipe, kept in ((self._out, self._stdout), (self._err, self._stderr)):
                selector.register(pipe, selectors.EVENT_READ, kept)
            while selector.get_map():
                left = _left(ends_at)
                if left == 0:
                    return False
                for key, _ in selector.select(min(left or math.inf, _LONGEST_LOOK_SECONDS)):
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

    def _finished(self) -> FinishedScript:
        notes = [*self._stdout.notes(), *self._stderr.notes()]
        if self._killed_because:
            notes.append(self._killed_because)
        exit_code: int | None = self._process.returncode
        if exit_code is None:
            notes.append("it still runs: it belongs to another user, or hangs in the system")
        return FinishedScript(
            self._stdout.text(),
            _with_notes(self._stderr.text(), notes),
            -1 if exit_code is None else max(exit_code, -1),
        )


class RunningScripts:
    """The running scripts, which end with the host."""

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
        """Kill those that run, and every later one as it starts."""
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
