"""Compiled templates that are likely to be needed again."""

import threading
from collections import OrderedDict

import jinja2

_MOST_CHARACTERS = 200_000
_LONGEST = 20_000


class TemplateCache:
    """Keeps the most recently used templates; the longer they are, the fewer.

    A compiled template takes up to some two hundred bytes for each character of its text. Safe to
    use from many threads at once.
    """

    def __init__(self, most_characters: int = _MOST_CHARACTERS) -> None:
        self._left = most_characters
        self._templates: OrderedDict[str, jinja2.Template] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: str) -> jinja2.Template | None:
        with self._lock:
            if source in self._templates:
                self._templates.move_to_end(source)
            return self._templates.get(source)

    def put(self, source: str, template: jinja2.Template) -> None:
        if len(source) > _LONGEST:
            return
        with self._lock:
            if source not in self._templates:
                self._left -= len(source)
            self._templates[source] = template
            while self._left < 0:
                removed, _ = self._templates.popitem(last=False)
                self._left += len(removed)
