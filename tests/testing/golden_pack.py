"""A pack with every mistake that a failing test of the kit has to explain."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_host.hookspecs import Emit

PAGED = EventDef("Paged")
QUEUED = EventDef("Queued", help_url="see the wiki")
LOST = EventDef("Lost")

ON_CALL = {"ops": "ada"}


@dataclass(frozen=True)
class PageInput:
    team: str
    urgent: bool = False


class PagerPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef(
            "Pager",
            commands=[
                Command("Page", self.page, [PAGED, QUEUED]),
                Command("Wait", self.wait, [PAGED], timeout_seconds=0.05),
                Command("Lose", self.lose, [PAGED]),
            ],
        )

    def page(self, input: PageInput) -> Event:
        return PAGED({"to": ON_CALL[input.team], "urgent": input.urgent})

    def wait(self, input: Any) -> Event:
        threading.Event().wait(60)
        return PAGED(input)

    def lose(self, input: Any) -> Event:
        return LOST(input)


class BrokenPack:
    def __init__(self) -> None:
        raise FileNotFoundError("pager.toml")


class WatchPack:
    """Its observer behaves as ``settings`` say."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._what = settings.get("what", "")

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Watch", event_defs=[PAGED])

    @hookimpl
    def flyte_health_checks(self) -> Iterable[HealthCheck]:
        if self._what != "unwell":
            return []
        return [
            HealthCheck("nothing", lambda: None),  # type: ignore[arg-type, return-value]
            HealthCheck("down", lambda: Health(False, "the pager is down")),
        ]

    @hookimpl
    def flyte_observe(self, emit: Emit, stopping: threading.Event) -> None:
        if self._what == "raises":
            raise KeyError("who")
        if self._what == "unencodable":
            emit(PAGED(object()))
        if self._what == "undeclared":
            emit(LOST())
        if self._what == "returns":
            return
        if self._what == "leaves":
            threading.Thread(
                target=threading.Event().wait, name="left", args=(20,), daemon=True
            ).start()
        emit(PAGED({"to": "ada"}))
        if self._what == "deaf":
            threading.Event().wait(1)
        stopping.wait()


class Escalating:
    """An add-on to whatever pack has a command Page."""

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Iterable[Command]:
        return [Command("Escalate", lambda _: PAGED({"pack": pack.name}), [PAGED])]
