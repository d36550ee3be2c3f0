"""Cuts a template into text and tags, and tags into tokens, by pongo2's rules."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from flyte_host.embedded.pongo2.faults import TemplateFault, TemplateSyntaxFault
from flyte_host.embedded.pongo2.limits import MAX_PIECES, MAX_TEMPLATE, MAX_WORDS
from flyte_host.embedded.pongo2.values import wrap_int64

KEYWORDS = frozenset({"in", "and", "or", "not", "true", "false", "as", "export"})

_MARK = re.compile(r"\{\{-?|\{%-?|\{#")
_VERBATIM = re.compile(r"\{% verbatim %\}(.*?)(\{% endverbatim %\}|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\{#[^\n]*?#\}")
_SPACES = " \n\r\t"
_NEVER_IN_A_TAG = ("", "\n", '"', "'")
"""Not even in comments: the end of the template, a line break, a quote that begins no string."""
_TOKEN = re.compile(
    r"""(?P<space>[ \r\t]+)
    |(?P<close>-?[%}]\})
    |(?P<name>[0-9]*[A-Za-z_][A-Za-z_0-9]*)
    |(?P<number>[0-9]+)
    |(?P<string>"(?:[^"\\\n]|\\["\\])*"|'(?:[^'\\\n]|\\["\\])*')
    |(?P<symbol>==|>=|<=|&&|\|\||!=|<>|[()+\-*<>/^,.!|:=%])""",
    re.VERBOSE,
)


class TokenKind(Enum):
    NAME = auto()
    KEYWORD = auto()
    NUMBER = auto()
    STRING = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class LexToken:
    kind: TokenKind
    value: str


@dataclass(frozen=True, slots=True)
class TextPiece:
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class CommentPiece:
    line: int


@dataclass(frozen=True, slots=True)
class TagPiece:
    """``{{ … }}`` (an output) or ``{% … %}``; its last token is a TokenKind.END.

    One with a ``problem`` may only stand in a ``{% comment %}``, and breaks off.
    """

    is_output: bool
    tokens: tuple[LexToken, ...]
    line: int
    trims_before: bool = False
    trims_after: bool = False
    problem: str = ""


def is_plain(source: str) -> bool:
    """Whether a template is plain text, which needs no parsing."""
    # A brace at the end begins a tag in the Go server, which appends its own tag.
    return not (_MARK.search(source) or source.endswith("{"))


def split_template(source: str) -> list[TextPiece | TagPiece]:
    """Return the pieces in order, without comments. Raises TemplateSyntaxFault.

    Checks all limits on templates: what is built from the pieces costs a thousand times more.
    """
    if len(source) > MAX_TEMPLATE:
        raise TemplateSyntaxFault(f"it is longer than {MAX_TEMPLATE:,} characters", 1)
    found: list[TextPiece | TagPiece] = []
    words = 0
    for count, piece in enumerate(_cut(source), 1):
        if isinstance(piece, TagPiece):
            words += len(piece.tokens)
        if words > MAX_WORDS:
            raise TemplateSyntaxFault(f"more than {MAX_WORDS:,} words inside tags", piece.line)
        if count > MAX_PIECES:
            what = f"more than {MAX_PIECES:,} tags, comments and texts between them"
            raise TemplateSyntaxFault(what, piece.line)
        if not isinstance(piece, CommentPiece):
            found.append(piece)
    return list(_trim(found))


def _trim(pieces: list[TextPiece | TagPiece]) -> Iterator[TextPiece | TagPiece]:
    """Remove the spaces beside tags with a minus, and texts of which nothing is left."""
    for before, piece, after in zip([None, *pieces], pieces, [*pieces[1:], None], strict=False):
        if isinstance(piece, TagPiece):
            yield piece
            continue
        text = piece.value
        if isinstance(before, TagPiece) and before.trims_after:
            text = text.lstrip(_SPACES)
        if isinstance(after, TagPiece) and after.trims_before:
            text = text.rstrip(_SPACES)
        if text:
            yield TextPiece(text, piece.line)


def _cut(source: str) -> Iterator[TextPiece | TagPiece | CommentPiece]:
    position, line = 0, 1
    while position < len(source):
        mark = _MARK.search(source, position)
        start = mark.start() if mark else len(source)
        text = source[position:start]
        line_of_text, line = line, line + text.count("\n")
        if text:
            yield TextPiece(text, line_of_text)
        if not mark:
            if text.endswith("{"):
                raise TemplateSyntaxFault("it ends in {, where a tag would begin", line)
            return
        position, piece = _read_marked(source, mark, line)
        yield piece
        line += source.count("\n", start, position)


def _read_marked(
    source: str, mark: re.Match[str], line: int
) -> tuple[int, TextPiece | TagPiece | CommentPiece]:
    """Read the piece at a mark; return its end, and the piece."""
    if mark[0] == "{#":
        comment = _COMMENT.match(source, mark.start())
        if not comment:
            raise TemplateSyntaxFault("a comment {# … #} is not closed on its line", line)
        return comment.end(), CommentPiece(line)
    if verbatim := _VERBATIM.match(source, mark.start()):
        if not verbatim[2]:
            raise TemplateSyntaxFault("{% verbatim %} is not closed", line)
        return verbatim.end(), TextPiece(verbatim[1], line)
    return _read_tag(source, mark, line)


def _read_tag(source: str, mark: re.Match[str], line: int) -> tuple[int, TagPiece]:
    is_output = mark[0].startswith("{{")
    close = "}}" if is_output else "%}"
    tag = TagPiece(is_output, (), line, trims_before=mark[0].endswith("-"))
    position = mark.end()
    found: list[LexToken] = []
    while token := _TOKEN.match(source, position):
        position = token.end()
        if token.lastgroup == "close":
            fits = token[0].endswith(close)
            return position, replace(
                tag,
                tokens=(*found, LexToken(TokenKind.END, close)),
                trims_after=token[0].startswith("-"),
                problem="" if fits else f"found {token[0]!r}, expected {close}",
            )
        if token.lastgroup != "space":
            found.append(_make_token(token))
    problem = _explain(source, position, close)
    if source[position : position + 1] in _NEVER_IN_A_TAG:
        raise TemplateSyntaxFault(problem, line)
    # As in Go, what follows is text.
    return position, replace(tag, tokens=(*found, LexToken(TokenKind.END, close)), problem=problem)


def _make_token(found: re.Match[str]) -> LexToken:
    written = found[0]
    match found.lastgroup:
        case "name":
            return LexToken(TokenKind.KEYWORD if written in KEYWORDS else TokenKind.NAME, written)
        case "number":
            return LexToken(TokenKind.NUMBER, written)
        case "string":
            return LexToken(TokenKind.STRING, re.sub(r'\\(["\\])', r"\1", written[1:-1]))
        case _:
            return LexToken(TokenKind.SYMBOL, written)


def _explain(source: str, position: int, close: str) -> str:
    if position >= len(source):
        return f"{close} is missing at the end of a tag"
    found = source[position]
    if found == "\n":
        return "a line break inside a tag is not allowed"
    if found in "\"'":
        return (
            f"a string that begins with {source[position : position + 20]!r} is not closed on its"
            ' line or has a backslash that is not part of \\\\ or \\"'
        )
    return f"the character {found!r} is not allowed inside a tag"


def read_integer(digits: str) -> int:
    """Read a literal as Go's int; raises TemplateFault if it does not fit."""
    if len(digits) > 19 or wrap_int64(int(digits)) != int(digits):
        raise TemplateFault(f"the number {digits[:25]} does not fit into 64 bits")
    return int(digits)
