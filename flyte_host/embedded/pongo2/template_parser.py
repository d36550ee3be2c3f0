"""pongo2's templates as Jinja2 node trees.

Owns the way through a template, from piece to piece, and how deep its tags nest. How each tag is
read is in ``tags``.
"""

from collections.abc import Callable, Container, Mapping

from jinja2 import nodes

from flyte_host.embedded.pongo2.expression_parser import ExpressionParser
from flyte_host.embedded.pongo2.faults import TemplateSyntaxFault
from flyte_host.embedded.pongo2.lexer import (
    TagPiece,
    TextPiece,
    TokenKind,
    split_template,
)

_DEEPEST = 15
_REFUSED = {"include", "ssi", "import", "extends", "macro", "block"}

Body = list[nodes.Node]
ReadTag = Callable[[ExpressionParser, "TemplateParser"], Body]
"""Reads what follows a tag's name, and the template up to the tag's end."""


class TemplateParser:
    """Reads one template that may use these filters and tags, from its beginning to its end."""

    def __init__(self, source: str, filters: Container[str], tags: Mapping[str, ReadTag]) -> None:
        self._pieces = split_template(source)
        self._filters = filters
        self._tags = tags
        self._position = 0
        self._depth = 0
        self._states = 0

    def parse(self) -> nodes.Template:
        """Read it; raises TemplateSyntaxFault."""
        body: Body = []
        while (tag := self._collect(body)) is not None:
            body += self._read_tag(tag.expect(TokenKind.NAME), tag)
        return nodes.Template(body, lineno=1)

    def read_until(self, *ends: str) -> tuple[Body, str, ExpressionParser]:
        """Read up to one of these tags; return the body, the tag's name and the rest of it."""
        body: Body = []
        self._depth += 1
        while (tag := self._collect(body)) is not None:
            name = tag.expect(TokenKind.NAME)
            if name in ends:
                self._depth -= 1
                return body, name, tag
            body += self._read_tag(name, tag)
        missing = f"{{% {' or '.join(ends)} %}} is missing"
        raise TemplateSyntaxFault(missing, self._pieces[-1].line)

    def read_block(self, tag: ExpressionParser, end: str) -> Body:
        """Read the body between ``tag``, of which nothing is left, and ``{% end %}``."""
        tag.expect_end()
        body, _, end_tag = self.read_until(end)
        end_tag.expect_end()
        return body

    def skip_to(self, end: str) -> bool:
        """Pass over everything up to ``{% end %}``; returns whether there is one."""
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if not isinstance(piece, TagPiece) or piece.is_output:
                continue
            if piece.tokens[0].value == end:
                return True
        return False

    def number_state(self) -> int:
        """A number for a tag that keeps state during a rendering."""
        self._states += 1
        return self._states

    def _collect(self, body: Body) -> ExpressionParser | None:
        """Add texts and outputs to the body up to the next ``{% tag %}``; None at the end."""
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, TextPiece):
                body.append(make_output(nodes.Const(piece.value, lineno=piece.line), piece.line))
                continue
            if piece.problem:
                raise TemplateSyntaxFault(piece.problem, piece.line)
            tag = ExpressionParser(piece, self._filters)
            if not piece.is_output:
                return tag
            body.append(make_output(tag.read_expression(), piece.line))
            tag.expect_end()
        return None

    def _read_tag(self, name: str, tag: ExpressionParser) -> Body:
        if name in _REFUSED:
            raise tag.make_fault(
                f"{{% {name} %}} is refused: templates here have no files and no macros"
            )
        if name not in self._tags:
            raise tag.make_fault(f"there is no tag {{% {name} %}}, or it does not belong here")
        if self._depth > _DEEPEST:
            raise tag.make_fault(f"tags are nested deeper than {_DEEPEST}")
        return self._tags[name](tag, self)


def make_output(value: nodes.Expr, line: int) -> nodes.Node:
    """The node that prints ``value``."""
    printed = nodes.Filter(value, "$print", [], [], None, None, lineno=line)
    return nodes.Output([printed], lineno=line)
