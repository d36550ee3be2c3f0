"""Imports that only an extra brings.

Owns the words for an extra that is not installed.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from flyte_host.errors import FlyteHostError


def embedded_extra(what: str) -> AbstractContextManager[None]:
    """Imports inside need the extra ``embedded``; the error names ``what`` needs it."""
    return _extra("embedded", what)


def postgres_extra(what: str) -> AbstractContextManager[None]:
    """The same for a store in PostgreSQL."""
    return _extra("embedded,postgres", what)


def dev_extra(what: str) -> AbstractContextManager[None]:
    """The same for the extra ``dev``."""
    return _extra("dev", what)


def mcp_extra(what: str) -> AbstractContextManager[None]:
    """The same for the extra ``mcp``."""
    return _extra("mcp", what)


def otel_extra(what: str) -> AbstractContextManager[None]:
    """The same for the extra ``otel``."""
    return _extra("otel", what)


@contextmanager
def _extra(names: str, what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise FlyteHostError(
            f"{what} needs more than is installed ({error}): pip install 'flyte-host[{names}]'"
        ) from error
