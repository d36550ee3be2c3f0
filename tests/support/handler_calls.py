"""Calls of handlers that are still in memory."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.testing.waiting import wait_until


@contextmanager
def calls_are_freed() -> Iterator[None]:
    """Those of the block are gone after it, without a search for garbage."""
    of_other_tests = _calls_in_memory()
    gc.disable()
    try:
        yield
        wait_until(lambda: _calls_in_memory() <= of_other_tests, "all calls are freed")
    finally:
        gc.enable()


def _calls_in_memory() -> set[HandlerCall]:
    return {each for each in gc.get_objects() if isinstance(each, HandlerCall)}
