"""Foreign text and values in sentences for people: short, on one line, printable."""

import re
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

LONGEST_SHOWN = 60
LARGEST_SHOWN = 10**18
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: new lines, cursor moves, colours
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these reorder the text around them
    "\ud800-\udfff]"  # lone surrogates, which no encoding can write
)
_JSON_SPACE = "\n\r\t"
_IN_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)`` for the name that was probably meant, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  for errors only

    by_lower = {each.casefold(): each for each in known}
    close = get_close_matches(name.casefold(), by_lower, n=1)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""


def nearest_of_packs(name: str, known: Iterable[str]) -> str:
    """As :func:`nearest`, for names such as ``Pack.Event``: the same pack does not count."""
    from difflib import get_close_matches  # noqa: PLC0415  for errors only

    own = _own_name(name)
    alike = [each for each in known if get_close_matches(own, [_own_name(each)], 1, 0.5)]
    return nearest(name, alike)


def _own_name(name: str) -> str:
    return name.rpartition(".")[2].casefold()


def counted(number: int, one: str, many: str = "") -> str:
    """``1 entry``, ``2 entries``; ``many`` is by default ``one`` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``0.5 s``, ``13 min 52 s``, ``2 h 5 min`` or ``3 d 4 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def label_words(labels: Mapping[str, str]) -> str:
    """``env=prod, team=a``, or ``none``."""
    return ", ".join(f"{key}={labels[key]}" for key in sorted(labels)) or "none"


def type_of(value: object) -> str:
    """``nothing``, or the name of its type with an article: ``a str``, ``an Event``."""
    return "nothing" if value is None else with_article(_type_name(type(value)))


def with_article(name: str) -> str:
    """``a str``, ``an int``; a U mostly sounds as in UUID."""
    return f"an {name}" if name[:1] in "AEIOaeio" else f"a {name}"


def _type_name(kind: type) -> str:
    is_builtin = kind.__module__ == "builtins"
    return kind.__name__.replace("_", " ") if is_builtin else kind.__name__


def quoted(text: str) -> str:
    """``text`` as one short line in quotes."""
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return encode_basestring(short) if text.isprintable() else encode_basestring_ascii(short)


def is_in_quotes(value: str) -> bool:
    """Whether a value still has the quotes that a shell would have removed."""
    return value[:1] in {'"', "'"} and value[0] == value[-1]


def shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case int() if abs(value) >= LARGEST_SHOWN:
            return "a number of many digits"
        case _:
            return str(value)


def printable(text: str) -> str:
    """``text`` with lone surrogates, which no JSON can carry, as escapes that people can read."""
    return text.encode(errors="backslashreplace").decode()


def reason(error: Exception) -> str:
    """Why a file cannot be read, without the path."""
    return getattr(error, "strerror", None) or str(error)


def escape_controls(text: str) -> str:
    r"""``text`` on one line, with a visible escape such as ``\n`` for each control character.

    A terminal obeys control characters, and a reader takes a line for a line: so text that came
    from somewhere else could otherwise forge both.
    """
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def escape_html(text: str) -> str:
    """What ``html.escape`` does; its module brings the names of 2,231 characters: 0.5 MB."""
    return text.translate(_IN_HTML)


def escape_in_json(document: str) -> str:
    """The same JSON, with control characters in its strings as JSON's own escapes.

    JSON requires that only below U+0020; whitespace between its tokens stays.
    """
    return _UNSAFE.sub(_escape_in_json, document)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _escape_in_json(match: re.Match[str]) -> str:
    return match[0] if match[0] in _JSON_SPACE else f"\\u{ord(match[0]):04x}"
