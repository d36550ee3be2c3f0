"""A pack whose handlers do everything that handlers may do, isolated or not."""

import asyncio
import contextlib
import ctypes
import dataclasses
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from flyte_host import (
    Action,
    Command,
    Event,
    EventDef,
    Health,
    HealthCheck,
    PackDef,
    continue_trace,
    fatal_event,
    hookimpl,
)

OUT = EventDef("Out", "https://example.com/out")
SEEN = EventDef("Seen")
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
UNKNOWN = EventDef("Unknown")

log = logging.getLogger(__name__)
IMPORTED_IN_MAIN_THREAD = threading.current_thread() is threading.main_thread()
forever = threading.Event().wait


@dataclass
class Settings:
    """``fails``: which hook misbehaves, and how; ``folder``: where an observer leaves its mark."""

    password: str = ""
    fails: str = ""
    folder: str = ""
    since: date = date(2020, 1, 1)
    odd: float = 0.0
    numbers: list[int] = field(default_factory=list)


@dataclass
class Question:
    name: str
    count: int = 1


def echo(input: Any) -> Event:
    return OUT(input)


def typed(input: Question) -> Event:
    return OUT(dataclasses.replace(input, count=input.count + 1))


def about(input: Any, action: Action) -> Event:
    return OUT([action.id, action.command, action.pack, action.attempt, action.deadline is None])


async def gentle(input: Any) -> Event:
    await asyncio.sleep(0)
    return OUT({"gentle": input})


async def patient(input: str) -> Event:
    try:
        await asyncio.Event().wait()
    finally:
        Path(input).touch()  # noqa: ASYNC240  it was cancelled, and this tells the test
    return OUT()


def boom(input: Any) -> Event:
    log.info("about to fail with %s", input)
    raise ValueError(f"boom {input}")


def leave(input: Any) -> Event:
    sys.exit(input)


def nothing(input: Any) -> None:
    return


def no_json(input: Any) -> Event:
    return OUT({1, object()})


def undeclared(input: Any) -> Event:
    return UNKNOWN(input)


def fatal(input: Any) -> Event:
    return fatal_event(input)


def mark(input: str, action: Action) -> Event:
    """Leave a line for each run, and take a moment."""
    with Path(input).open("a") as file:
        file.write(f"{action.id}\n")
    threading.Event().wait(0.05)
    return OUT()


def big(input: int) -> Event:
    return OUT("x" * input)


def surrogate(input: Any) -> Event:
    raise ValueError("lone \ud800 surrogate")


def where(input: Any) -> Event:
    return OUT(os.getpid())


def environment(input: Any) -> Event:
    return OUT(dict(os.environ))


def prints(input: str) -> Event:
    print(input, flush=True)  # noqa: T201  what this test is about
    os.write(2, input.encode() + b" \xff again\n")
    return OUT()


def starts(input: str) -> Event:
    """A program that outlives the handler and keeps what it inherited."""
    process = subprocess.Popen(["/bin/sleep", "60"], stdout=subprocess.DEVNULL)
    Path(input).write_text(str(process.pid))
    return OUT()


def segfault(input: Any) -> Event:
    ctypes.string_at(0)
    return OUT()


def die(input: int) -> Event:
    os._exit(input)


def abort(input: Any) -> Event:
    os.abort()


def hang(input: str) -> Event:
    Path(input).touch()
    forever()
    return OUT()


def hog(input: str) -> Event:
    """Keep the interpreter's lock: no other thread of this process runs.

    An endless match does so too, but a call of PyDLL uses no processor.
    """
    keep = ctypes.PyDLL(None).sleep
    Path(input).touch()
    keep(100_000)
    return OUT()


def eat(input: int) -> Event:
    """Allocate that many megabytes."""
    return OUT(len(bytearray(input * 2**20)))


def garble(input: Any) -> Event:
    """Write nonsense to every socket of this process, including the host's."""
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # of the listing itself
            if str(each.readlink()).startswith("socket:"):
                os.write(int(each.name), b"\0\0\0\5what?")
    forever()
    return OUT()


def loop_of_main(input: Any) -> Event:
    """Whether this module was imported in the main thread."""
    return OUT(IMPORTED_IN_MAIN_THREAD)


COMMANDS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        echo, typed, about, gentle, patient, boom, leave, nothing, no_json, undeclared, fatal, mark,
        big, surrogate, where, environment, prints, starts, segfault, die, abort, hang, hog, eat,
        garble, loop_of_main,
    )
}  # fmt: skip
LIMITED = {"patient": 1.0, "slow": 1.0}


class Pack:
    """An owner of its pack."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if settings.fails == "constructor":
            raise RuntimeError("cannot be made")

    @hookimpl
    def flyte_pack(self) -> PackDef:
        self._fail("flyte_pack")
        commands = [
            Command(name, handler, [OUT], timeout_seconds=LIMITED.get(name))
            for name, handler in COMMANDS.items()
        ]
        settings = Command("settings", self.told, [OUT], "https://example.com/help", 30, True)
        slow = Command("slow", hang, [OUT], timeout_seconds=LIMITED["slow"])
        return PackDef(
            "Tried", "https://example.com", {"a": "b"}, [SEEN], [*commands, settings, slow]
        )

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Sequence[Command]:
        self._fail("flyte_commands")
        return [Command("more", lambda _: OUT(sorted(pack.labels)), [OUT])]

    @hookimpl
    def flyte_event_defs(self, pack: PackDef) -> Sequence[EventDef]:
        self._fail("flyte_event_defs")
        return [EventDef(f"{pack.name}More")]

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> Sequence[HealthCheck]:
        self._fail("flyte_health_checks")
        return [
            HealthCheck("good", lambda: Health(True, {"fails": self.settings.fails})),
            HealthCheck("bad", lambda: Health(False, "not so good"), critical=False),
            HealthCheck("raises", lambda: 1 / 0),  # type: ignore[arg-type,return-value]
            HealthCheck("wrong", lambda: 1),  # type: ignore[arg-type,return-value]
        ]

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        for wrong in (1, SEEN({1, object()})):
            try:
                emit(wrong)  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                emit(SEEN(f"{type(error).__name__}: {error}"))
        with continue_trace({"traceparent": TRACEPARENT}):
            emit(SEEN(os.getpid()))
        self._fail("flyte_observe")
        stopping.wait()
        if self.settings.folder:
            Path(self.settings.folder, "stopped").touch()

    def told(self, input: Any) -> Event:
        found = dataclasses.asdict(self.settings)
        return OUT({name: str(value) for name, value in found.items()})

    def _fail(self, where: str) -> None:
        hook, _, how = self.settings.fails.partition(": ")
        if hook != where:
            return
        if how == "hang":
            forever()
        if how == "die":
            os._exit(3)
        raise RuntimeError(f"{where} fails")


class AddOn:
    """Adds a command to every pack."""

    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Sequence[Command]:
        owner: Any = next((each.handler for each in pack.commands), None)

        def ask_owner(input: Any) -> Event:
            answer: Event = owner(input) if owner else OUT()
            return answer

        return [
            Command(f"count{pack.name}", lambda _: OUT(len(pack.commands)), [OUT]),
            Command("askOwner", ask_owner, [OUT]),
        ]


class Fickle:
    """Describes its pack differently in every process."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        die_ = Command("die", die, [OUT])
        return PackDef("Fickle", event_defs=[EventDef(f"E{os.getpid()}")], commands=[die_])
