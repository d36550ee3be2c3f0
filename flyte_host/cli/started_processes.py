"""The processes that a command of a pack started, and those that they started.

Owns how they are found and ended. Must not know why.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")


def kill_started() -> None:
    """End them all, with the groups that they lead; finds none on a system without /proc.

    Parents end before their children, so that none can start another one unseen.
    """
    found = _descendants(_parents())
    for process in found:
        with suppress(ProcessLookupError, PermissionError):  # it ended, or is another user's now
            group = os.getpgid(process)
            if group in found:
                os.killpg(group, signal.SIGKILL)
            else:
                os.kill(process, signal.SIGKILL)


def _descendants(parents: dict[int, int]) -> list[int]:
    """The processes below this one, parents first."""
    found = [os.getpid()]
    for parent in found:
        found += [process for process, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def _parents() -> dict[int, int]:
    """Each process of the machine, with its parent."""
    parents = {}
    for status in PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            # The name is in brackets, and may contain blanks and brackets.
            fields = status.read_bytes().rpartition(b")")[2].split()
            parents[int(status.parent.name)] = int(fields[1])
    return parents
