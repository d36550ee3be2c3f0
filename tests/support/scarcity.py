"""A process that has no file descriptor left, for a while."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def no_descriptors() -> Iterator[Callable[[], None]]:
    """This process cannot open anything meanwhile, a test's own files included.

    Calling what this gives takes those too that were closed since.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(2)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken[0] + 1, 256), hard))

    def take() -> None:
        with suppress(OSError):
            while True:
                taken.append(os.dup(2))

    take()
    try:
        yield take
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
