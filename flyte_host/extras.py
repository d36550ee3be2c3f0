"""Imports that only an extra brings.

Owns the words for an extra that is not installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.errors import FlyteHostError


@contextmanager
def embedded_extra(what: str) -> Iterator[None]:
    """Imports inside need the extra ``embedded``; the error names ``what`` needs it."""
    with _extra("embedded", what):
        yield


@contextmanager
def dev_extra(what: str) -> Iterator[None]:
    """The same for the extra ``dev``."""
    with _extra("dev", what):
        yield


@contextmanager
def mcp_extra(what: str) -> Iterator[None]:
    """The same for the extra ``mcp``."""
    with _extra("mcp", what):
        yield


@contextmanager
def _extra(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise FlyteHostError(
            f"{what} needs more than is installed ({error}): pip install 'flyte-host[{name}]'"
        ) from error
