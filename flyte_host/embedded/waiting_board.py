"""Tells hosts that keep a request open for which packs actions wait.

A host misses nothing between two requests: recent news is kept under a cursor, and a host with
another flyte's cursor is told everything that waits. Must not know HTTP.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from flyte_host.embedded.model import Labels, fits

KEPT = 10_000
"""How many of the last wake-ups are known by their number."""


class PackWatch(NamedTuple):
    """The packs of a host, as labels by name, and where it stopped.

    ``is_check``: it wants to hear of all that waits, even if it has heard of it.
    """

    packs: Mapping[str, Sequence[Labels]]
    cursor: str
    seconds: float
    is_check: bool = False

    def wants(self, pack_name: str, labels: Labels) -> bool:
        return any(fits(labels, each) for each in self.packs.get(pack_name, ()))


class News(NamedTuple):
    """For which packs actions wait, by name and wanted labels, and where to continue."""

    cursor: str
    waiting: Sequence[tuple[str, Labels]]


class WaitingBoard:
    """Safe from any thread. ``waiting`` looks into the store."""

    def __init__(self, waiting: Callable[[], Iterable[tuple[str, Labels]]]) -> None:
        self._waiting = waiting
        self._token = secrets.token_hex(6)
        self._lock = threading.Lock()
        self._last = 0
        self._kept: deque[tuple[int, str, Labels]] = deque(maxlen=KEPT)
        self._watchers: dict[object, tuple[PackWatch, Callable[[], object]]] = {}
        self._closed = False

    def wake(self, pack_name: str, labels: Labels) -> None:
        """An action was queued for packs with this name and these labels, or one was deleted."""
        with self._lock:
            self._last += 1
            self._kept.append((self._last, pack_name, labels))
            watchers = list(self._watchers.values())
        for watch, tell in watchers:
            if watch.wants(pack_name, labels):
                tell()

    def news(self, watch: PackWatch) -> News:
        """What the host does not know yet, or all that waits."""
        if not watch.is_check and (known := self.news_at_once(watch)) is not None:
            return known
        with self._lock:
            cursor = self._cursor()
        return News(cursor, _wanted(self._waiting(), watch))  # the look comes after the cursor

    def news_at_once(self, watch: PackWatch) -> News | None:
        """The same without looking into the store; None: that is not possible."""
        token, _, number = watch.cursor.partition(":")
        with self._lock:
            oldest = self._kept[0][0] if self._kept else self._last + 1
            since = int(number) if token == self._token and number.isdecimal() else -1
            if since < oldest - 1:
                return None
            cursor, found = self._cursor(), list(self._since(since))
        return News(cursor, _wanted(found, watch))

    def _cursor(self) -> str:
        return f"{self._token}:{self._last}"

    def _since(self, number: int) -> Iterator[tuple[str, Labels]]:
        for each, pack_name, labels in reversed(self._kept):
            if each <= number:
                return
            yield pack_name, labels

    @contextmanager
    def watching(self, watch: PackWatch, tell: Callable[[], object]) -> Iterator[None]:
        """Inside, ``tell`` is called when there is news, and when the board closes."""
        key = object()
        with self._lock:
            self._watchers[key] = watch, tell
            closed = self._closed
        if closed:
            tell()
        try:
            yield
        finally:
            with self._lock:
                del self._watchers[key]

    def close(self) -> None:
        """End all waits."""
        with self._lock:
            self._closed = True
            watchers = list(self._watchers.values())
        for _, tell in watchers:
            tell()


def _wanted(found: Iterable[tuple[str, Labels]], watch: PackWatch) -> list[tuple[str, Labels]]:
    """What the host watches for, each once."""
    wanted = (each for each in found if watch.wants(*each))
    return list(
        {(name, *sorted(labels.items())): (name, labels) for name, labels in wanted}.values()
    )
