"""Gives large pieces of freed memory back to the system."""

import ctypes

M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1024 * 1024


def give_back_large_blocks() -> bool:
    """Stop the C library from keeping freed blocks of 1 MB or more; False if that is impossible.

    glibc gives every thread its own heap and learns to keep ever larger pieces in it: sixteen
    threads that have answered with 8 MB each kept 700 MB for good.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))
    except (OSError, AttributeError):  # another C library
        return False
