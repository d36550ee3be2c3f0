"""How many heaps the C library has, and which freed memory it gives back to the system."""

import ctypes

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGE_BYTES = 1024 * 1024
HEAPS = 2


def share_heaps() -> bool:
    """Let all threads share two heaps; False if that is impossible.

    glibc gives each thread a heap of its own, up to eight for each core, and most of each is never
    used. Python's threads allocate one at a time, so they do not wait for each other there. This
    has to come before there are threads, in a process that is ours alone.
    """
    return _set_option(M_ARENA_MAX, HEAPS)


def give_back_large_blocks() -> bool:
    """Stop the C library from keeping freed blocks of 1 MB or more; False if that is impossible.

    glibc learns to keep ever larger pieces: sixteen threads that have answered with 8 MB each, from
    a heap each, kept 700 MB forever.
    """
    return _set_option(M_MMAP_THRESHOLD, LARGE_BYTES)


def _set_option(option: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).mallopt(option, value))
    except (OSError, AttributeError):  # another C library
        return False
