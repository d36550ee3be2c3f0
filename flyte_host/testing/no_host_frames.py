"""A test is told what it gave wrong, at its own line: without the frames of the host.

Owns how an error loses them. pytest hides the frames of the kit by their ``__tracebackhide__``.
"""

from types import TracebackType


class NoHostFrames:
    """Around what the kit has the host do: errors of these kinds come out without its frames."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        """Nothing has to be made ready."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        if isinstance(error, self._kinds):
            raise error.with_traceback(None) from None
