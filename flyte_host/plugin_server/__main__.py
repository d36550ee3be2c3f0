"""Starts the process of one isolated plugin.

Owns what holds for the whole process: signals, limits, the log, and its end with the host.
"""

import faulthandler
import fcntl
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from flyte_host import forks, logs
from flyte_host.foreign_code import headline
from flyte_host.isolation import messages as say
from flyte_host.plugin_server.log_forwarder import LogForwarder
from flyte_host.plugin_server.main_thread import MainThread
from flyte_host.plugin_server.plugin_server import PluginServer
from flyte_host.secrets import hide_memory

log = logging.getLogger(__name__)

STACK_BYTES = 2**21
"""Stack of each thread where memory is limited: the usual 8 MB of address space would count."""


def main(connection: int, lifeline: int) -> None:
    """Serve the host at the other end of the socket ``connection`` until it hangs up."""
    for each in (connection, lifeline):
        os.set_inheritable(each, False)  # a program that the plugin starts must not keep them open
        forks.own_descriptor(each)
    hide_memory()
    _end_with(lifeline)
    _leave_signals_to_the_host()
    faulthandler.enable(all_threads=False)
    channel = say.Channel(socket.socket(fileno=connection))
    frames = iter(channel)
    first = next(frames, None)
    if first is not None and isinstance(first[1], say.LoadPlugin):
        _prepare(channel, first[1])
        main_thread = MainThread()
        server = PluginServer(channel, first[1], main_thread.start)
        server.receive(*first)
        reading = threading.Thread(target=_serve, args=(server, frames), name="host", daemon=True)
        reading.start()
        main_thread.run()
    os._exit(0)


def _serve(server: PluginServer, frames: Iterator[say.Frame]) -> None:
    status = 1
    try:
        for number, message in frames:
            server.receive(number, message)
        status = 0
    except BaseException as error:
        log.critical("the pack's process cannot go on: %s", headline(error), exc_info=error)
    finally:
        os._exit(status)  # right now: nobody waits for handlers that still run


def _prepare(channel: say.Channel, load: say.LoadPlugin) -> None:
    sys.path[:] = load.search_path
    logging.basicConfig(level=load.level, handlers=[LogForwarder(channel, load.pack_key)])
    logs.log_uncaught()
    if load.memory_limit_mb is not None:
        _limit_memory(load.memory_limit_mb)


def _end_with(lifeline: int) -> None:
    """Have the kernel end this process when the host is gone, whatever keeps the interpreter."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _leave_signals_to_the_host() -> None:
    """Signals from a terminal or supervisor reach all processes, but only the host is to drain.

    With handlers, since what is ignored stays ignored in the programs that the plugin starts.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_it)
    forks.own_signal_handler(_leave_it)


def _leave_it(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the host stops this process."""


def _limit_memory(megabytes: int) -> None:
    most = megabytes * 2**20
    # Only the soft limit: programs that the plugin starts may raise it again.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    threading.stack_size(STACK_BYTES)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
