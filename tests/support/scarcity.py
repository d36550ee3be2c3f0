"""A process that has no thread or file descriptor left, or only a few, for a while."""

import itertools
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STANDARD_STREAMS = 3
TOO_LARGE_STACK = 1 << 46
"""No address space has room for the stack of such a thread."""


@contextmanager
def no_threads() -> Iterator[None]:
    """Python cannot start another thread meanwhile."""
    usual = threading.stack_size(TOO_LARGE_STACK)
    try:
        yield
    finally:
        threading.stack_size(usual)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process cannot open anything meanwhile, a test's own files included.

    Only the numbers of the standard streams are allowed, and they are in use: closing other
    files makes no room.
    """
    with _limited(STANDARD_STREAMS):
        yield


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """This process can open only that many descriptors."""
    taken = open_descriptors()
    free = (number for number in itertools.count() if number not in taken)
    with _limited(1 + next(itertools.islice(free, count - 1, None))):
        yield


def open_descriptors() -> set[int]:
    """The numbers of those that are open."""
    listed = [int(each.name) for each in list(Path("/proc/self/fd").iterdir())]
    return {number for number in listed if _is_open(number)}


def _is_open(number: int) -> bool:
    """That of the listing itself is closed by now."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def _limited(numbers: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (numbers, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
