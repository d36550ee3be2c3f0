"""A process that has no file descriptor left, for a while."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_STREAMS = 3


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process cannot open anything meanwhile, a test's own files included.

    Only numbers of the standard streams are allowed, and those are in use: whatever is closed
    meanwhile makes no room.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (STANDARD_STREAMS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
