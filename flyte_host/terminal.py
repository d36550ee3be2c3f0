"""What a stream can show."""

import os
from collections.abc import Mapping
from typing import TextIO

NO_COLOUR_TERMS = ("", "dumb")


def shows_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether colours make sense: on a terminal that has them, unless NO_COLOR is set."""
    if environ.get("NO_COLOR") or environ.get("TERM", "") in NO_COLOUR_TERMS:
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # not a file, or closed
        return False
