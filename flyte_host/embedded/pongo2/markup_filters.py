"""pongo2's filters for HTML, JavaScript and URLs."""

import re
import string
from typing import Any
from urllib.parse import quote_plus

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.regex import replace_matches
from flyte_host.embedded.pongo2.template_filter import Apply
from flyte_host.embedded.pongo2.values import length_of, to_int, to_text

_IRI_CHARACTERS = "/#%[]=:;$&()+,!?*@'~"
_ESCAPED = str.maketrans({"&": "&amp;", ">": "&gt;", "<": "&lt;", '"': "&quot;", "'": "&#39;"})
_URL = (
    r"(?:https?://|www\.|(?:^|[ ])[0-9A-Za-z_\-]+\.(?:com|net|org|info|biz|de))"
    r"(?U:.*)(?:[ ]+|$)"
)
_MAIL = r"\w+@\w+\.\w{2,4}"
_TAG = re.compile(r"<[^>]*>")
_TAG_NAME = re.compile(r"[0-9A-Za-z_:.-]*")
_LONGEST_TAG_NAMES = 1000


def _escapejs(value: Any, _argument: Any) -> str:
    plain = set(string.ascii_letters + " /")
    # As in Go, the character that stands for broken bytes is left out.
    shown = to_text(value).replace(r"\r", "\r").replace(r"\n", "\n").replace("\ufffd", "")
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
    shown, names = to_text(value), to_text(argument)
    if len(names) > _LONGEST_TAG_NAMES:
        raise TemplateFault(f"removetags takes at most {_LONGEST_TAG_NAMES:,} characters of names")
    for name in names.split(","):
        if not _TAG_NAME.fullmatch(name):
            raise TemplateFault(f"removetags: {name[:60]!r} is not the name of a tag")
        shown = re.sub(f"</?{re.escape(name)}/?>", "", shown)
    return shown.strip()


def _striptags(value: Any, _argument: Any) -> str:
    # Up to the last bracket every tag has an end: no search for one runs to the end of the text.
    tagged, bracket, rest = to_text(value).rpartition(">")
    return (_TAG.sub("", tagged + bracket) + rest).strip()


def _urlize(value: Any, argument: Any) -> str:
    """Turn addresses into links; the argument false leaves their text unescaped."""
    return _insert_links(to_text(value), 0, escapes=argument is not False)


def _urlizetrunc(value: Any, argument: Any) -> str:
    return _insert_links(to_text(value), to_int(argument), escapes=True)


def _insert_links(shown: str, longest: int, *, escapes: bool) -> str:
    def link(found: Any) -> str:
        url = found[0].strip()
        href = _iriencode(url, None)
        href = href if href.startswith("http") else f"http://{href}"
        title = _shorten(url, longest)
        title = _escape(title, None) if escapes else title
        before = " " if found[0].startswith(" ") else ""
        after = " " if found[0].endswith(" ") else ""
        return f'{before}<a href="{href}" rel="nofollow">{title}</a>{after}'

    def link_mail(found: Any) -> str:
        return f'<a href="mailto:{found[0]}">{_shorten(found[0], longest)}</a>'

    return replace_matches(_MAIL, link_mail, replace_matches(_URL, link, shown))


def _shorten(title: str, longest: int) -> str:
    return f"{title[: longest - 3]}..." if 3 < longest < len(title) else title


def _escape(value: Any, _argument: Any) -> str:
    return to_text(value).translate(_ESCAPED)


MARKUP_FILTERS: dict[str, Apply] = {
    "escape": _escape,
    "escapejs": _escapejs,
    "iriencode": _iriencode,
    "linebreaks": _linebreaks,
    "linebreaksbr": lambda value, _: to_text(value).replace("\n", "<br />"),
    "removetags": _removetags,
    "striptags": _striptags,
    "urlencode": lambda value, _: quote_plus(to_text(value), errors="replace"),
    "urlize": _urlize,
    "urlizetrunc": _urlizetrunc,
}
