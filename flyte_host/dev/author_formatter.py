"""Log lines whose tracebacks show the author's own code.

Owns which frames those are.
"""

import traceback
from pathlib import Path
from types import TracebackType

from flyte_host.logs import TextFormatter
from flyte_host.secrets import Scrubber

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class AuthorFormatter(TextFormatter):
    """Leaves out frames of the host, of libraries and of Python: ``home`` is the author's folder.

    An exception that no frame of the author's led to shows its last frame.
    """

    def __init__(self, scrubber: Scrubber, home: Path, *, colour: bool = False) -> None:
        super().__init__(scrubber, colour=colour)
        self._home = f"{home}/"

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802  as logging calls it
        if ei[1] is None:
            return ""
        shown = traceback.TracebackException.from_exception(ei[1])
        self._cut(shown, set())
        return "".join(shown.format()).rstrip("\n")

    def _cut(self, shown: traceback.TracebackException | None, seen: set[int]) -> None:
        """The same for its causes, and for each exception of a group."""
        if shown is None or id(shown) in seen:
            return
        seen.add(id(shown))
        own = [frame for frame in shown.stack if self._is_own(frame.filename)]
        if not own and getattr(shown, "lineno", None) is None:  # a SyntaxError has a line itself
            own = list(shown.stack)[-1:]
        shown.stack = traceback.StackSummary.from_list(own)
        for each in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
            self._cut(each, seen)

    def _is_own(self, file: str) -> bool:
        return file.startswith(self._home) and "-packages/" not in file
