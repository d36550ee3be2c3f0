"""The operating system's side of a child: its process, its descriptors, and how it ended.

Must not know what is said to it.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

from flyte_host import forks
from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation.messages import Channel

MODULE = "flyte_host.plugin_server"
"""What the child runs, as ``python -m``: a name, since it belongs to a layer above this one."""
END_SECONDS = 0.2
"""How long a child may take to end after the host hung up."""
LONGEST_LINE = 10_000


class LaunchedProcess:
    """One that runs. Its owner reads its :meth:`lines` and calls :meth:`free` at its end.

    The lifeline is a pipe in which nothing is ever written: when the host is gone, however it went,
    the kernel signals the child, even if an extension keeps the child's interpreter busy.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", lifeline: int, channel: Channel) -> None:
        self._process = process
        self._lifeline = lifeline
        self.channel = channel
        self._owned = (lifeline, channel.descriptor)
        for each in self._owned:
            forks.own_descriptor(each)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self) -> None:
        """Return once it has ended."""
        self._process.wait()

    def lines(self) -> Iterator[str]:
        """What it writes, line by line, until nobody can write any longer."""
        output = self._process.stdout
        while output and (line := output.readline(LONGEST_LINE)):
            yield line.decode(errors="backslashreplace").rstrip()

    def close_output(self) -> None:
        """Read nothing more."""
        if self._process.stdout:
            self._process.stdout.close()

    def how_it_ended(self, problem: str = "") -> str:
        """``signal 11, SIGSEGV``, ``exit code 3``, or the ``problem``, for which it is killed."""
        try:
            if problem:
                self._process.kill()
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it hung up and went on: it can no longer be asked for anything
            code = self._process.wait()
        if problem:
            return problem
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        return f"signal {-code}, {name}"

    def free(self) -> None:
        """Close the connection and the lifeline."""
        for descriptor in self._owned:
            forks.disown_descriptor(descriptor)
        self.channel.close()
        os.close(self._lifeline)


def launch(pack_key: str, environ: Mapping[str, str]) -> LaunchedProcess:
    """Start the process of a pack; raises Misbehaved, and OSError if no descriptor is left."""
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.settimeout(None)  # a plugin of this process may have set another default
    try:
        reads, lifeline = os.pipe()
    except OSError:  # no descriptor is left
        ours.close()
        theirs.close()
        raise
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603  this interpreter, no shell
                [sys.executable, "-P", "-m", MODULE,
                 str(theirs.fileno()), str(reads), pack_key],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), reads], env=dict(environ),
            )  # fmt: skip
        except OSError as error:
            ours.close()
            os.close(lifeline)
            raise Misbehaved(f"its process cannot be started: {error}") from error
        finally:
            os.close(reads)
    return LaunchedProcess(process, lifeline, Channel(ours))
