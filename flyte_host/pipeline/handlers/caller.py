"""For whom code on an event loop runs, and where it stands.

Owns the mark that a handler's tasks and callbacks carry. Must not know what handlers are for.
"""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flyte_host.foreign_code import frames_of_thread
from flyte_host.plugins.annotations import without_partials

Suspended = Coroutine[Any, Any, Any] | Generator[Any, Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A command of a pack, and where its handler's own code lies; one for each call.

    ``pack_key`` is the pack's name in the configuration. ``blocks`` hears that its code keeps a
    loop from turning.
    """

    pack: str
    command: str
    home: str
    pack_key: str
    blocks: Callable[[], None]


CALLER: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller")
"""Set in each coroutine handler; its tasks and callbacks inherit it."""


def caller_on(loop_thread: threading.Thread) -> Caller | None:
    """Whose code the loop in this thread runs at this moment."""
    return caller_among(frames_of_thread(loop_thread))


def caller_among(frames: list[FrameType]) -> Caller | None:
    """Whose context the loop's current callback runs in: that of a task's step, too."""
    for frame in frames:
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001  no public way
            context = getattr(frame.f_locals.get("self"), "_context", {})
            found: Caller | None = context.get(CALLER)
            return found
    return None


def frames_of_coroutine(coroutine: Suspended) -> list[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, innermost first."""
    frames: list[FrameType] = []
    current: Any = coroutine
    while (frame := getattr(current, "cr_frame", None)) is not None:
        frames.insert(0, frame)
        current = current.cr_await
    return frames


def home_of(handler: Callable[..., Any]) -> str:
    """Where a handler's own code lies: a folder, or a file that shares its folder with others."""
    function: Any = without_partials(handler)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    file = "" if code is None else code.co_filename
    folder = os.path.dirname(file)  # noqa: PTH120  of any text, <string> too
    shared = os.path.basename(folder) in {"site-packages", "dist-packages", ""}  # noqa: PTH119
    return file if shared else folder + os.sep
