"""Imports that only an extra brings.

Owns the words for an extra that is not installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.errors import FlyteHostError


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Imports inside need the extra; the error names ``what`` needs it. Raises FlyteHostError."""
    try:
        yield
    except ImportError as error:
        raise FlyteHostError(
            f"{what} needs more than is installed ({error}): pip install 'flyte-host[{extra}]'"
        ) from error
