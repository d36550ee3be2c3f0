"""The templates of pages, and how every text in them is made safe.

No foreign text becomes markup, a control character, or shows a secret that the host in this process
knows. Must not know which page shows what.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2

from flyte_host.embedded.pages.page_source import as_json, seen_ago, waiting_for
from flyte_host.text import duration, escape_controls, escape_in_json

HTML = "text/html; charset=utf-8"


class PageAnswer(NamedTuple):
    """What a browser gets."""

    status: int
    content_type: str
    body: bytes


class PageTemplates:
    """Renders; safe from any thread. ``scrub`` hides secrets in a text."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "plain": lambda value: escape_controls(scrub(str(value))),
            "json": lambda value: escape_in_json(scrub(as_json(value))),
            "part": lambda value: quote(str(value), safe=""),
            "duration": duration,
            "css": lambda state: "did-not-run" if " " in state else state.lower(),
        }
        self._environment.globals |= {"seen_ago": seen_ago, "waiting_for": waiting_for}

    def render(self, template: str, *, status: int = 200, **values: Any) -> PageAnswer:
        text = self._environment.get_template(template).render(**values)
        return PageAnswer(status, HTML, text.encode(errors="backslashreplace"))


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
