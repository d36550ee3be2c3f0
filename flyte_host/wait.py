"""What a worker waits for without blocking: a disk, or an answer of flyte.

Owns how work is written that has to wait: as steps, which yield each wait. So its caller may begin
the wait, do something else, and continue when it is over; or block. Where there is a method for
both, the name of that with steps ends with -ing: a take blocks, taking does not.
"""

import functools
from collections.abc import Callable, Generator
from typing import ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Wait(Protocol):
    """One of the two methods is called, once."""

    def begin(self, wake: Callable[[], None]) -> None:
        """Begin what is waited for; ``wake`` is called at its end, in any thread, and never fails.

        It may be called before this returns.
        """
        ...

    def stand_still(self) -> None:
        """Do it in this thread, and return at its end."""
        ...


Steps = Generator[Wait, None, T]
"""Goes on when the wait that it yielded is over."""


def stand_still(steps: Steps[T]) -> T:
    """Go all steps in this thread."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        wait.stand_still()


def standing_still(going: Callable[P, Steps[T]]) -> Callable[P, T]:
    """A function that goes all steps of another one in the thread that calls it."""

    @functools.wraps(going)
    def stand(*args: P.args, **kwargs: P.kwargs) -> T:
        return stand_still(going(*args, **kwargs))

    return stand
