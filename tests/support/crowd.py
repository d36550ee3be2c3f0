"""A plugin that can have thousands of actions under way, and lets all of them go at once.

Owns its commands, which :class:`tests.support.plenty.Plenty` gives out by name.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")
RAISED = EventDef("Raised")


class Crowd:
    """``echo`` returns; ``hold`` waits for ``release``, which waits for the file ``go``.

    After that its observer raises as many events as ``go`` says.
    """

    def __init__(self, folder: Path) -> None:
        self._go = folder / "go"
        self._released = threading.Event()
        self._held: list[asyncio.Future[None]] = []

    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("echo", self.echo, [DONE]),
            Command("hold", self.hold, [DONE]),
            Command("release", self.release, [DONE]),
            Command("stuck", self.stuck, [DONE], timeout_seconds=0.2),
        ]
        return PackDef("Crowd", commands=commands, event_defs=[RAISED])

    def echo(self, input: str) -> Event:
        return DONE(input)

    async def hold(self, input: str) -> Event:
        if not self._released.is_set():  # on a busy machine it may begin after that
            held = asyncio.get_running_loop().create_future()
            self._held.append(held)
            await held
        return DONE(input)

    async def release(self, input: str) -> Event:
        while not self._go.exists():
            await asyncio.wait(self._held[:1], timeout=0.05)
        for each in self._held:
            each.set_result(None)
        self._released.set()
        return DONE(input)

    def stuck(self, input: str) -> Event:
        threading.Event().wait()
        return DONE(input)

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        while not stopping.wait(0.02):
            if self._released.is_set():
                for number in range(int(self._go.read_text())):
                    emit(RAISED(number))
                return
