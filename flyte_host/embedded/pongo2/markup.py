"""pongo2's built-in filters for HTML, JavaScript and URLs.

Owns what each makes of its input and argument. Must not know templates or flyte.
"""

import re
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from flyte_host.embedded.pongo2.regex import replaced
from flyte_host.embedded.pongo2.values import integer, length, text

_IRI_CHARACTERS = "/#%[]=:;$&()+,!?*@'~"
_ESCAPED = str.maketrans({"&": "&amp;", ">": "&gt;", "<": "&lt;", '"': "&quot;", "'": "&#39;"})
_URL = (
    r"((https?://|www\.)[^\s<>]*[^\s<>.,;:!?)]"
    r"|\b[0-9A-Za-z_-]+\.(com|net|org|info|biz|de)\b[^\s<>]*)"
)


def _escapejs(value: Any, _argument: Any) -> str:
    plain = set(string.ascii_letters + " /")
    shown = text(value).replace(r"\r", "\r").replace(r"\n", "\n")
    return "".join(one if one in plain else f"\\u{ord(one):04X}" for one in shown)


def _iriencode(value: Any, _argument: Any) -> str:
    return quote_plus(text(value), safe=_IRI_CHARACTERS, errors="replace")


def _linebreaks(value: Any, _argument: Any) -> Any:
    if not length(value):
        return value
    lines = text(value).split("\n")
    paragraph = False
    parts: list[str] = []
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        parts.append(line if paragraph else f"<p>{line}")
        paragraph = True
        if following is not None and line.strip():
            paragraph = bool(following.strip())
            parts.append("<br />" if paragraph else "</p>")
    written = "".join(parts)
    return f"{written}</p>" if paragraph else written


def _removetags(value: Any, argument: Any) -> str:
    names = "|".join(re.escape(name) for name in text(argument).split(","))
    return replaced(f"</?(?:{names})/?>", "", text(value)).strip()


def _urlize(value: Any, argument: Any) -> str:
    """Links as pongo2 makes them; an argument false leaves the link's text unescaped."""
    return _linked(text(value), 0, escapes=argument is not False)


def _urlizetrunc(value: Any, argument: Any) -> str:
    return _linked(text(value), integer(argument), escapes=True)


def _linked(shown: str, most: int, *, escapes: bool) -> str:
    def link(found: Any) -> str:
        url: str = found[1]
        href = _iriencode(url if url.startswith("http") else f"http://{url}", None)
        title = f"{url[: most - 3]}..." if 3 < most < len(url) else url
        title = _escape(title, None) if escapes else title
        return f'<a href="{href}" rel="nofollow">{title}</a>'

    return replaced(_URL, link, shown)


def _escape(value: Any, _argument: Any) -> str:
    return text(value).translate(_ESCAPED)


FILTERS: dict[str, Callable[[Any, Any], Any]] = {
    "e": _escape,
    "escape": _escape,
    "escapejs": _escapejs,
    "force_escape": _escape,
    "iriencode": _iriencode,
    "linebreaks": _linebreaks,
    "linebreaksbr": lambda value, _: text(value).replace("\n", "<br />"),
    "removetags": _removetags,
    "striptags": lambda value, _: replaced(r"<[^>]*?>", "", text(value)).strip(),
    "urlencode": lambda value, _: quote_plus(text(value), errors="replace"),
    "urlize": _urlize,
    "urlizetrunc": _urlizetrunc,
}
