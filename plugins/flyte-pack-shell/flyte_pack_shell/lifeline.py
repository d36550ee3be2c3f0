"""Ends a script's process group with the process that started it, however that ended.

Owns a pipe that nobody writes to: when its writing end is gone, the kernel kills the group, even
after a SIGKILL of this process. Must not know the script.
"""

import fcntl
import os
import signal


class Lifeline:
    """Script and host both hold it; only Linux ends the group by it."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()

    @property
    def descriptor(self) -> int:
        """The end that the script must inherit: without a reader there is nobody to signal."""
        return self._reads

    def hold(self, group: int) -> None:
        """From now on, when this process ends, so does ``group``.

        A SIGKILL between the start of the script and this leaves the script running: the kernel
        must know the group, which has no number before.
        """
        fcntl.fcntl(self._reads, fcntl.F_SETOWN, -group)
        if hasattr(fcntl, "F_SETSIG"):
            fcntl.fcntl(self._reads, fcntl.F_SETSIG, signal.SIGKILL)
        self._set_signals(os.O_ASYNC)

    def close(self) -> None:
        """Let the rest of the group live: its script is done."""
        self._set_signals(0)
        os.close(self._reads)
        os.close(self._writes)

    def _set_signals(self, flag: int) -> None:
        flags = fcntl.fcntl(self._reads, fcntl.F_GETFL) & ~os.O_ASYNC
        fcntl.fcntl(self._reads, fcntl.F_SETFL, flags | flag)
