"""Text of others, made safe to print."""

import re

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: new lines, cursor moves, colours
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these reorder the text around them
    "\ud800-\udfff]"  # lone surrogates, which no encoding can write
)
_JSON_SPACE = "\n\r\t"
LONGEST_QUOTED = 100


def escape_controls(text: str) -> str:
    r"""``text`` on one line, with a visible escape such as ``\n`` for each control character.

    A terminal obeys control characters, and a reader takes a line for a line: so text that came
    from somewhere else could otherwise forge both.
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def escape_in_json(document: str) -> str:
    """The same JSON, with control characters in its strings as JSON's own escapes.

    JSON asks for that only below U+0020; what stands between its tokens stays.
    """
    return _UNSAFE.sub(_escape_in_json, document)


def _escape_in_json(match: re.Match[str]) -> str:
    return match[0] if match[0] in _JSON_SPACE else f"\\u{ord(match[0]):04x}"


def quote(text: str) -> str:
    """``text`` in quotes on one line, cut where it is long."""
    cut = text if len(text) <= LONGEST_QUOTED else text[: LONGEST_QUOTED - 1] + "…"
    return f'"{escape_controls(cut)}"'
