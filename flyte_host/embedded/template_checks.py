"""Finds mistakes in templates that can be read but never do what they should.

Must not know flows.
"""

from collections.abc import Collection, Container, Iterator, Sequence

from flyte_host.embedded.cron import why_never
from flyte_host.embedded.pongo2.faults import PatternFault, TemplateFault
from flyte_host.embedded.pongo2.lexer import (
    LexToken,
    TagPiece,
    TextPiece,
    TokenKind,
    split_template,
)
from flyte_host.embedded.pongo2.regex import find_match
from flyte_host.text import nearest

NAMES = ("Event", "Context", "forloop", "pongo2")
FIELDS = ("Name", "Pack", "Payload", "ReceivedAt", "CreatedAt")
_MAKE_NAMES = frozenset({"for", "set", "with", "macro", "import", "cycle", "widthratio", "include"})
_READ_NAMES = frozenset({"if", "elif", "ifequal", "ifnotequal", "for", "set"})
_FOR_WORDS = ("reversed", "sorted")

Told = Iterator[tuple[str, str]]
"""Codes and words."""


def mistakes_in_template(text: str, functions: Collection[str]) -> Told:
    """What is wrong with a template that can be read."""
    tags = [piece for piece in split_template(text) if isinstance(piece, TagPiece)]
    made = {token.value for tag in tags if _word(tag) in _MAKE_NAMES for token in _names(tag)}
    for tag in tags:
        yield from _bad_arguments(tag.tokens)
        if tag.is_output or _word(tag) in _READ_NAMES:
            yield from _unknown_names(tag, made, functions)
            yield from _never_equal(tag.tokens)


def mistakes_in_criteria(text: str) -> Told:
    """What keeps criteria from being a bool."""
    pieces = split_template(text)
    if not any(isinstance(piece, TagPiece) for piece in pieces):
        if any(f"{name}." in text for name in ("Event", "Context")):
            yield "F020", f"is the text {text!r}, expected {{{{ {text.strip()} }}}}"
        return
    if any(isinstance(each, TextPiece) and _has_only_spaces(each) for each in _ends(pieces)):
        yield "F019", "has spaces around its template, expected none: ' True' is not a bool"


def _ends(pieces: Sequence[TextPiece | TagPiece]) -> tuple[TextPiece | TagPiece, ...]:
    return pieces[0], pieces[-1]


def _has_only_spaces(piece: TextPiece) -> bool:
    return not piece.value.strip()


def _word(tag: TagPiece) -> str:
    return "" if tag.is_output else tag.tokens[0].value


def _names(tag: TagPiece) -> Iterator[LexToken]:
    """Names that stand alone: not those of fields or filters."""
    for place, token in enumerate(tag.tokens[0 if tag.is_output else 1 :], not tag.is_output):
        before = tag.tokens[place - 1].value if place else ""
        if token.kind is TokenKind.NAME and not _is_symbol(tag.tokens, place - 1, before, ".|"):
            yield token


def _is_symbol(tokens: Sequence[LexToken], place: int, value: str, symbols: str) -> bool:
    return place >= 0 and tokens[place].kind is TokenKind.SYMBOL and value in symbols


def _unknown_names(tag: TagPiece, made: Container[str], functions: Collection[str]) -> Told:
    tokens = tag.tokens
    heads = list(_names(tag))
    for place, token in enumerate(tokens):
        if not any(token is head for head in heads) or token.value in made:
            continue
        if tokens[place + 1].value == "(":
            if token.value not in functions:
                yield (
                    "F016",
                    f"calls {token.value!r}, which is not a function of templates"
                    + (nearest(token.value, functions)),
                )
        elif token.value not in (*NAMES, *_FOR_WORDS):
            meant = nearest(token.value, NAMES[:2]) or "; expected Event or Context"
            yield "F015", f"reads {token.value!r}, which templates do not have{meant}"
        elif token.value == "Event":
            field = _field_after(tokens, place)
            if field and field not in FIELDS:
                meant = nearest(field, FIELDS) or f"; expected {', '.join(FIELDS)}"
                yield "F015", f"reads 'Event.{field}', which an event does not have{meant}"


def _field_after(tokens: Sequence[LexToken], place: int) -> str:
    after = tokens[place + 1 : place + 3]
    is_field = len(after) == 2 and after[0].value == "." and after[1].kind is TokenKind.NAME
    return after[1].value if is_field else ""


def _bad_arguments(tokens: Sequence[LexToken]) -> Told:
    for bar, name, colon, argument in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if (bar.value, colon.value, argument.kind) != ("|", ":", TokenKind.STRING):
            continue
        if name.value == "matchesCron" and (why := why_never(argument.value)):
            yield "F017", why
        if name.value in {"match", "extractMatch"} and (why := _why_no_pattern(argument.value)):
            yield "F018", f"has {argument.value!r}, which is not a pattern: {why}"


def _why_no_pattern(pattern: str) -> str:
    try:
        find_match(pattern, "")
    except (PatternFault, TemplateFault) as fault:
        return str(fault)
    return ""


def _never_equal(tokens: Sequence[LexToken]) -> Told:
    for place, token in enumerate(tokens):
        if token.kind is not TokenKind.SYMBOL or token.value not in {"==", "!="}:
            continue
        path = _path_before(tokens, place) or _path_after(tokens, place)
        number = _whole_after(tokens, place) or _whole_before(tokens, place)
        if path and number:
            kind = "a payload has floats" if path.startswith("Event.") else "a context is text"
            better = f"{path}|integer {token.value} {number}"
            words = f"compares {path} with {number}, but {kind}, which never equal it"
            yield "F021", f"{words}; expected {better}"


def _path_before(tokens: Sequence[LexToken], place: int) -> str:
    start = place
    while start > 0 and _is_part_of_path(tokens[start - 1]):
        start -= 1
    before = tokens[start - 1].value if start else ""
    return "" if before in {"|", ":"} else _path(tokens[start:place])


def _path_after(tokens: Sequence[LexToken], place: int) -> str:
    end = place + 1
    while _is_part_of_path(tokens[end]):
        end += 1
    return "" if tokens[end].value in {"|", "("} else _path(tokens[place + 1 : end])


def _is_part_of_path(token: LexToken) -> bool:
    return token.kind in {TokenKind.NAME, TokenKind.NUMBER} or token.value == "."


def _path(tokens: Sequence[LexToken]) -> str:
    """The tokens as a path that is never a whole number; empty if they are not one."""
    written = "".join(token.value for token in tokens)
    return written if written.startswith(("Event.Payload.", "Context.")) else ""


def _whole_after(tokens: Sequence[LexToken], place: int) -> str:
    sign = "-" if tokens[place + 1].value == "-" else ""
    number = tokens[place + 1 + bool(sign)]
    if number.kind is not TokenKind.NUMBER or tokens[place + 2 + bool(sign)].value in {".", "|"}:
        return ""
    return sign + number.value


def _whole_before(tokens: Sequence[LexToken], place: int) -> str:
    is_whole = place > 0 and tokens[place - 1].kind is TokenKind.NUMBER
    is_part = place > 1 and tokens[place - 2].value in {".", "|", ":"}
    return tokens[place - 1].value if is_whole and not is_part else ""
