"""A pack whose handlers fork, in every way that Python has."""

import ctypes
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flyte_host import Command, Event, EventDef, PackDef, hookimpl

OUT = EventDef("Out")
FORKS = multiprocessing.get_context("fork")


def terminate(input: Any) -> Event:
    """Start a worker and terminate it; its exit code."""
    worker = FORKS.Process(target=time.sleep, args=(60,))
    worker.start()
    worker.terminate()
    worker.join(20)
    return OUT(worker.exitcode)


def linger(input: Any) -> Event:
    """Start a worker that outlives everything; its pid."""
    worker = FORKS.Process(target=time.sleep, args=(60,), daemon=False)
    worker.start()
    return OUT(worker.pid)


def compute(input: list[int]) -> Event:
    with FORKS.Pool(2) as pool:
        return OUT(pool.map(abs, input))


def fork(input: str) -> Event:
    """Both processes return from here; the status of the child."""
    child = os.fork()
    with Path(input).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if child == 0:
        return OUT("child")
    return OUT(os.waitpid(child, 0)[1])


async def fork_async(input: str) -> Event:
    return fork(input)


def fork_and_raise(input: str) -> Event:
    child = os.fork()
    if child == 0:
        raise ValueError("of the child")
    return OUT(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def dumpable(input: Any) -> Event:
    """What prctl(PR_GET_DUMPABLE) says: 0 where /proc shows nothing to the user's processes."""
    return OUT(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))


HANDLERS = (dumpable, terminate, linger, compute, fork, fork_async, fork_and_raise)


class ForkingPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [Command(each.__name__, each, [OUT]) for each in HANDLERS]
        return PackDef("Forking", event_defs=[OUT], commands=commands)

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        """A child of it raises no event."""
        if os.fork() == 0:
            emit(OUT("child"))
        emit(OUT("parent"))
        stopping.wait()
