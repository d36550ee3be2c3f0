"""Standard streams that belong to the protocol alone.

Nothing a plugin prints or reads, at import or in a handler, gets between the messages.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class WireStreams:
    """Where messages come from and go to."""

    reads: TextIO
    writes: TextIO


@contextmanager
def claim_streams() -> Iterator[WireStreams]:
    """Stdin and stdout for the protocol; all other code reads nothing and writes to stderr."""
    sys.stdout.flush()
    reads, writes = os.dup(0), os.dup(1)
    for each in (reads, writes):
        os.set_blocking(each, True)  # a program that shares it may have changed that
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        # Not closed: a thread may be in a read that only the client can end.
        yield WireStreams(
            open(reads, encoding="utf-8", errors="replace", closefd=False),  # noqa: SIM115
            open(writes, "w", encoding="utf-8", closefd=False),  # noqa: SIM115
        )
    finally:
        sys.stdout.flush()
        os.dup2(reads, 0)
        os.dup2(writes, 1)
