"""``flyte-host`` as a separate process that need not import everything first.

Owns what makes a copy like a process that has just started. Must not know what a test does with
one. What a copy cannot show, such as the options of Python itself or how long a start takes, needs
``python -m flyte_host``.
"""

import atexit
import contextlib
import io
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any, Literal

from tests.support.fork_server import FORKS


class WarmProcess:
    """A running ``flyte-host`` with these arguments; ``stdin``, ``stdout``, ``stderr`` are pipes.

    ``streams`` has descriptors that it gets instead, by their numbers there: what belongs to others
    is empty here. Otherwise it is like ``subprocess.Popen``.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        streams: Mapping[int, int] | None = None,
    ) -> None:
        given = streams or {}
        self.stdin, theirs_in = _stream("w", given.get(0))
        self.stdout, theirs_out = _stream("r", given.get(1))
        self.stderr, theirs_err = _stream("r", given.get(2))
        theirs = _Streams([theirs_in, theirs_out, theirs_err])
        self._process = FORKS.Process(
            target=_run,
            args=(theirs, [*arguments], str(folder), dict(environ), _installed()),
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("flyte-host", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, text: str, timeout: float) -> tuple[str, str]:
        """Send ``text``, and read all that it prints until it ends."""
        printed: list[str] = ["", ""]

        def read(place: int, stream: IO[str]) -> None:
            printed[place] = stream.read()

        streams = (self.stdout, self.stderr)
        readers = [threading.Thread(target=read, args=each) for each in enumerate(streams)]
        for each in readers:
            each.start()
        with contextlib.suppress(BrokenPipeError):  # it has ended without reading
            self.stdin.write(text)
            self.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        try:
            self.wait(timeout)
        finally:
            self.kill()
            for each in readers:
                each.join()
            self.close()
        return printed[0], printed[1]

    def close(self) -> None:
        for each in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                each.close()


def _stream(mode: Literal["r", "w"], given: int | None) -> tuple[IO[str], int]:
    """Our end of a stream, which reads or writes, and theirs."""
    if given is not None:
        return io.StringIO(), os.dup(given)
    reads, writes = os.pipe()
    ours, theirs = (reads, writes) if mode == "r" else (writes, reads)
    return os.fdopen(ours, mode, encoding="utf-8"), theirs


class _Streams:
    """Descriptors that reach the process as an argument."""

    def __init__(self, descriptors: list[int]) -> None:
        self.descriptors = descriptors

    def __getstate__(self) -> list[Any]:
        return [reduction.DupFd(each) for each in self.descriptors]

    def __setstate__(self, given: list[Any]) -> None:
        self.descriptors = [each.detach() for each in given]

    def close(self) -> None:
        for each in self.descriptors:
            os.close(each)


@cache
def _installed() -> list[str]:
    """Where a Python that has just started finds what is installed."""
    command = [sys.executable, "-I", "-c", "import sys; print(*sys.path, sep='\\n')"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _run(
    streams: _Streams,
    arguments: list[str],
    folder: str,
    environ: dict[str, str],
    installed: list[str],
) -> None:
    """What ``python -m flyte_host`` does, in the new process."""
    for number, each in enumerate(streams.descriptors):
        os.dup2(each, number)
    streams.close()
    sys.stdin = os.fdopen(0, closefd=False, encoding="utf-8")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    paths = [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [folder, *paths, *installed]
    sys.argv[1:] = arguments
    try:
        runpy.run_module("flyte_host", run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
