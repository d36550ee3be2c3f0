"""Plugins that misbehave, and :class:`Good`, which must work beside them.

Owns what each does wrong, and the stand-in for flyte that gives each pack its own actions.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from tests.support.plenty import Plenty
from tests.support.proxy import ProxyAnswer, call_of
from tests.support.scripted_server import Seen, action

DONE = EventDef("Done")
TICK = EventDef("Tick")
HUGE_BYTES = 50_000_000
LEAKED_PER_ACTION = 2


class Town(Plenty):
    """Gives each pack as many actions of ``run`` as ``wanted`` says, by the pack's name.

    ``ended``: how long the host had the actions of each pack, in seconds, in order.
    ``ill``: events are answered with 500.
    """

    def __init__(self, *, ill: bool, **wanted: int) -> None:
        super().__init__(())
        self._ill = ill
        self._left = dict(wanted)
        self._taken: dict[str, tuple[str, float]] = {}
        self.ended: dict[str, list[float]] = {pack: [] for pack in wanted}

    def __call__(self, seen: Seen) -> ProxyAnswer:
        if self._ill and call_of(seen) == "event":
            return ProxyAnswer(500)
        return super().__call__(seen)

    def _take(self, seen: Seen, url: str) -> ProxyAnswer:
        pack = seen.path.split("/")[3]
        with self._lock:
            if not self._left[pack]:
                return ProxyAnswer(204)
            self._left[pack] -= 1
            number, self.given = self.given, self.given + 1
            self._taken[f"a{number}"] = pack, time.monotonic()
        return ProxyAnswer(200, action(url, pack, f"a{number}", command="run", input=number))

    def _result(self, seen: Seen) -> ProxyAnswer:
        answer = super()._result(seen)
        pack, taken_at = self._taken[seen.path.split("/")[5]]
        with self._lock:
            self.ended[pack].append(time.monotonic() - taken_at)
        return answer


class Good:
    """Answers at once."""

    def __init__(self, _: Path) -> None:
        pass

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Good", commands=[Command("run", self.run, [DONE])])

    def run(self, input: int) -> Event:
        return DONE(input)


class Bad:
    """What the bad ones have in common: a pack with a command and an event."""

    def __init__(self, _: Path) -> None:
        pass

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Bad", commands=[Command("run", self.run, [DONE])], event_defs=[TICK])

    def run(self, input: int) -> Event:
        return DONE(input)


class Leaking(Bad):
    """Each action starts threads that never end."""

    def run(self, input: int) -> Event:
        for _ in range(LEAKED_PER_ACTION):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return DONE(input)


class Raising(Bad):
    """Raises in every hook once it is loaded."""

    def run(self, input: int) -> Event:
        raise ValueError(f"no {input}")

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> Sequence[HealthCheck]:
        return [HealthCheck("raises", self.check)]

    def check(self) -> Health:
        raise OSError("no health")

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        raise KeyError("observer")


class Refusing(Bad):
    """Raises while it is loaded."""

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Sequence[Command]:
        raise ValueError("no commands")

    @hookimpl
    def flyte_event_defs(self, pack: PackDef) -> Sequence[EventDef]:
        raise ValueError("no events")

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> Sequence[HealthCheck]:
        raise ValueError("no checks")


class Flooding(Bad):
    """Raises a million events as fast as it can, from four threads; notes how many it raised."""

    def __init__(self, folder: Path) -> None:
        self._raised = folder / "raised"

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        def flood(name: str) -> None:
            with self._raised.with_suffix(name).open("ab", buffering=0) as file:
                for number in range(250_000):
                    if stopping.is_set():
                        return
                    emit(TICK(number))
                    file.write(b".")

        threads = [
            threading.Thread(target=flood, args=[f".{each}"], daemon=True) for each in range(4)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()


class Huge(Bad):
    """Returns 50 MB; flyte takes at most 16."""

    def run(self, input: int) -> Event:
        return DONE("x" * HUGE_BYTES)


NEIGHBOURS: dict[str, Callable[[Path], object]] = {
    each.__name__: each for each in (Good, Leaking, Raising, Refusing, Flooding, Huge)
}
