"""Changes in a project's folder.

Owns which files count. The only module that knows watchfiles.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from flyte_host.errors import FlyteHostError
from flyte_host.extras import needs_extra

SUFFIXES = (".py", ".toml", ".yaml", ".yml")
"""Code, configuration and flows only: other files that a plugin writes must not restart it."""
SETTLE_MILLISECONDS = 50
"""Long enough to gather the files that an editor saves together."""


class FolderWatch:
    """Raises FlyteHostError without the extra ``dev``, and for a folder that cannot be watched."""

    def __init__(self, path: Path) -> None:
        with needs_extra("dev", "flyte-host dev"):
            import watchfiles  # noqa: PLC0415  an extra

        self._path = path
        self._watch = watchfiles.watch
        self._filter = watchfiles.DefaultFilter(
            ignore_dirs=(*watchfiles.DefaultFilter.ignore_dirs, "build", "dist", "venv")
        )

    def changes(self, stopping: threading.Event) -> Iterator[list[str]]:
        """The files of each change, relative to the folder, until ``stopping`` is set."""
        found = self._watch(
            self._path,
            watch_filter=self._counts,
            step=SETTLE_MILLISECONDS,
            stop_event=stopping,
            raise_interrupt=False,
        )
        try:
            for changes in found:
                yield sorted({str(Path(file).relative_to(self._path)) for _, file in changes})
        except (OSError, RuntimeError) as error:
            raise FlyteHostError(f"{self._path} cannot be watched: {error}") from error

    def _counts(self, change: object, file: str) -> bool:
        return file.endswith(SUFFIXES) and self._filter(change, file)  # type: ignore[arg-type]
