"""Ends every process that a test started when the tests end, however they end.

Owns the warden: a process that waits for the end of this one, even by SIGKILL, and then ends all
processes with the mark that this one gave its children. Without ``/proc`` it finds none.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the warden needs nothing that is installed
    import pytest

MARK = "ORPHAN_OF"
"""The variable that all children inherit: the ids of the runner, and of its worker."""


class Warden:
    """Once it is made, children of this process get the mark through ``os.environ``."""

    def __init__(self) -> None:
        inherited = os.environ.get(MARK, "")
        self._mark = f"{inherited}{os.getpid()}/"
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}
        # A new session: Ctrl-C at the terminal must not end it before its work.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self._mark],
            stdin=subprocess.PIPE, env=unmarked, start_new_session=True,
        )  # fmt: skip
        os.environ[MARK] = self._mark

    def dismiss(self) -> None:
        """It does its work, and ends."""
        self._process.communicate()


def pytest_configure(config: "pytest.Config") -> None:
    warden = Warden()
    config.add_cleanup(warden.dismiss)


def marked(mark: str) -> list[int]:
    """The processes whose mark begins with this one."""
    wanted = f"\0{MARK}={mark}".encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in b"\0" + (each / "environ").read_bytes():
                found.append(int(each.name))
        except OSError:  # it is gone, or another user's
            continue
    return found


def end_orphans(mark: str) -> None:
    """Including those that they start meanwhile."""
    while pids := marked(mark):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


if __name__ == "__main__":
    sys.stdin.read()
    end_orphans(sys.argv[1])
