"""pongo2's filters for HTML, JavaScript and URLs."""

import re
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from flyte_host.embedded.pongo2.regex import replace_matches
from flyte_host.embedded.pongo2.values import length_of, to_int, to_text

_IRI_CHARACTERS = "/#%[]=:;$&()+,!?*@'~"
_ESCAPED = str.maketrans({"&": "&amp;", ">": "&gt;", "<": "&lt;", '"': "&quot;", "'": "&#39;"})
_URL = (
    r"((https?://|www\.)[^\s<>]*[^\s<>.,;:!?)]"
    r"|\b[0-9A-Za-z_-]+\.(com|net|org|info|biz|de)\b[^\s<>]*)"
)


def _escapejs(value: Any, _argument: Any) -> str:
    plain = set(string.ascii_letters + " /")
    shown = to_text(value).replace(r"\r", "\r").replace(r"\n", "\n")
    return "".join(one if one in plain else f"\\u{ord(one):04X}" for one in shown)


def _iriencode(value: Any, _argument: Any) -> str:
    return quote_plus(to_text(value), safe=_IRI_CHARACTERS, errors="replace")


def _linebreaks(value: Any, _argument: Any) -> Any:
    if not length_of(value):
        return value
    lines = to_text(value).split("\n")
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
    names = "|".join(re.escape(name) for name in to_text(argument).split(","))
    return replace_matches(f"</?(?:{names})/?>", "", to_text(value)).strip()


def _urlize(value: Any, argument: Any) -> str:
    """Turn addresses into links; the argument false leaves their text unescaped."""
    return _insert_links(to_text(value), 0, escapes=argument is not False)


def _urlizetrunc(value: Any, argument: Any) -> str:
    return _insert_links(to_text(value), to_int(argument), escapes=True)


def _insert_links(shown: str, most: int, *, escapes: bool) -> str:
    def link(found: Any) -> str:
        url: str = found[1]
        href = _iriencode(url if url.startswith("http") else f"http://{url}", None)
        title = f"{url[: most - 3]}..." if 3 < most < len(url) else url
        title = _escape(title, None) if escapes else title
        return f'<a href="{href}" rel="nofollow">{title}</a>'

    return replace_matches(_URL, link, shown)


def _escape(value: Any, _argument: Any) -> str:
    return to_text(value).translate(_ESCAPED)


MARKUP_FILTERS: dict[str, Callable[[Any, Any], Any]] = {
    "e": _escape,
    "escape": _escape,
    "escapejs": _escapejs,
    "force_escape": _escape,
    "iriencode": _iriencode,
    "linebreaks": _linebreaks,
    "linebreaksbr": lambda value, _: to_text(value).replace("\n", "<br />"),
    "removetags": _removetags,
    "striptags": lambda value, _: replace_matches(r"<[^>]*?>", "", to_text(value)).strip(),
    "urlencode": lambda value, _: quote_plus(to_text(value), errors="replace"),
    "urlize": _urlize,
    "urlizetrunc": _urlizetrunc,
}
