"""Cuts a template into text and tags, and tags into tokens, by pongo2's rules.

Owns what is text, a comment, a string, a number. Must not know what any tag or filter means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from flyte_host.embedded.pongo2.values import Fault, int64

KEYWORDS = frozenset({"in", "and", "or", "not", "true", "false", "as", "export"})

_MOST_TOKENS = 20_000
_MARK = re.compile(r"\{\{-?|\{%-?|\{#")
_VERBATIM = re.compile(r"\{% verbatim %\}(.*?)(\{% endverbatim %\}|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\{#[^\n]*?#\}")
_SPACES = " \n\r\t"
_TOKEN = re.compile(
    r"""(?P<space>[ \r\t]+)
    |(?P<close>-?[%}]\})
    |(?P<name>[0-9]*[A-Za-z_][A-Za-z_0-9]*)
    |(?P<number>[0-9]+)
    |(?P<string>"(?:[^"\\\n]|\\["\\])*"|'(?:[^'\\\n]|\\["\\])*')
    |(?P<symbol>==|>=|<=|&&|\|\||!=|<>|[()+\-*<>/^,.!|:=%])""",
    re.VERBOSE,
)


class Kind(Enum):
    NAME = auto()
    KEYWORD = auto()
    NUMBER = auto()
    STRING = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Tag:
    """``{{ … }}`` (an output) or ``{% … %}``, its tokens ending with one of Kind.END."""

    is_output: bool
    tokens: tuple[Token, ...]
    line: int


class SyntaxFault(Fault):
    """A template that cannot be read, and the line where that shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def pieces(source: str) -> list[Text | Tag]:
    """The template in order, comments left out. Raises SyntaxFault."""
    found: list[Text | Tag] = []
    tokens = 0
    for piece in _cut(source):
        tokens += len(piece.tokens) if isinstance(piece, Tag) else 0
        if tokens > _MOST_TOKENS:
            raise SyntaxFault(f"more than {_MOST_TOKENS:,} words inside of tags", piece.line)
        found.append(piece)
    return found


def _cut(source: str) -> Iterator[Text | Tag]:
    position, line, trim = 0, 1, False
    while position < len(source):
        mark = _MARK.search(source, position)
        start = mark.start() if mark else len(source)
        text = source[position:start]
        line_of_text, line = line, line + text.count("\n")
        if trim:
            text = text.lstrip(_SPACES)
        if mark and mark[0].endswith("-"):
            text = text.rstrip(_SPACES)
        if text:
            yield Text(text, line_of_text)
        if not mark:
            return
        position, piece, trim = _marked(source, mark, line)
        if piece:
            yield piece
        line += source.count("\n", start, position)


def _marked(source: str, mark: re.Match[str], line: int) -> tuple[int, Text | Tag | None, bool]:
    """The end of what begins at the mark, what it is, and whether it eats the space behind."""
    if mark[0] == "{#":
        comment = _COMMENT.match(source, mark.start())
        if not comment:
            raise SyntaxFault("a comment {# … #} is not closed on its line", line)
        return comment.end(), None, False
    if verbatim := _VERBATIM.match(source, mark.start()):
        if not verbatim[2]:
            raise SyntaxFault("{% verbatim %} is not closed", line)
        return verbatim.end(), Text(verbatim[1], line), False
    is_output = mark[0].startswith("{{")
    end, tokens, trim = _tokens(source, mark.end(), "}}" if is_output else "%}", line)
    return end, Tag(is_output, tokens, line), trim


def _tokens(
    source: str, position: int, close: str, line: int
) -> tuple[int, tuple[Token, ...], bool]:
    found: list[Token] = []
    while token := _TOKEN.match(source, position):
        position = token.end()
        if token.lastgroup == "close":
            if not token[0].endswith(close):
                raise SyntaxFault(f"{close} is expected, not {token[0]}", line)
            return position, (*found, Token(Kind.END, close)), token[0].startswith("-")
        if token.lastgroup != "space":
            found.append(_token(token))
    raise SyntaxFault(_complaint(source, position, close), line)


def _token(found: re.Match[str]) -> Token:
    written = found[0]
    match found.lastgroup:
        case "name":
            return Token(Kind.KEYWORD if written in KEYWORDS else Kind.NAME, written)
        case "number":
            return Token(Kind.NUMBER, written)
        case "string":
            return Token(Kind.STRING, re.sub(r'\\(["\\])', r"\1", written[1:-1]))
        case _:
            return Token(Kind.SYMBOL, written)


def _complaint(source: str, position: int, close: str) -> str:
    if position >= len(source):
        return f"{close} is missing at the end of a tag"
    found = source[position]
    if found == "\n":
        return "a new line inside of a tag is not allowed"
    if found in "\"'":
        return (
            f"a string that begins with {source[position : position + 20]!r} is not closed on its"
            ' line or has a backslash that is not part of \\\\ or \\"'
        )
    return f"the character {found!r} is not allowed inside of a tag"


def whole_number(digits: str) -> int:
    """The literal as Go's int; raises Fault where it does not fit."""
    if len(digits) > 19 or int64(int(digits)) != int(digits):
        raise Fault(f"the number {digits[:25]} does not fit into 64 bits")
    return int(digits)
