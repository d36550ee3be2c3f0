"""pongo2's templates as Jinja2 node trees.

Reads the tags. What they do at run time is in :mod:`flyte_host.embedded.pongo2.operations`.
"""

from collections.abc import Callable, Container

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
_TEMPLATE_TAGS = {
    "openblock": "{%",
    "closeblock": "%}",
    "openvariable": "{{",
    "closevariable": "}}",
    "openbrace": "{",
    "closebrace": "}",
    "opencomment": "{#",
    "closecomment": "#}",
}

Body = list[nodes.Node]


def parse_template(source: str, filters: Container[str]) -> nodes.Template:
    """Read a template that may use these filters. Raises TemplateSyntaxFault."""
    return nodes.Template(TemplateParser(source, filters).parse(), lineno=1)


class TemplateParser:
    def __init__(self, source: str, filters: Container[str]) -> None:
        self._pieces = split_template(source)
        self._filters = filters
        self._position = 0
        self._depth = 0
        self._states = 0
        self._tags: dict[str, Callable[[ExpressionParser], Body]] = {
            "autoescape": self._read_autoescape,
            "comment": self._read_comment,
            "cycle": self._read_cycle,
            "filter": self._read_filter,
            "firstof": self._read_firstof,
            "for": self._read_for,
            "if": self._read_if,
            "ifchanged": self._read_ifchanged,
            "ifequal": lambda tag: self._read_ifequal(tag, "$=="),
            "ifnotequal": lambda tag: self._read_ifequal(tag, "$!="),
            "now": self._read_now,
            "set": self._read_set,
            "spaceless": self._read_spaceless,
            "templatetag": self._read_templatetag,
            "widthratio": self._read_widthratio,
            "with": self._read_with,
        }

    def parse(self) -> Body:
        body: Body = []
        while (tag := self._collect(body)) is not None:
            body += self._read_tag(tag.expect(TokenKind.NAME), tag)
        return body

    def _read_until(self, *ends: str) -> tuple[Body, str, ExpressionParser]:
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

    def _collect(self, body: Body) -> ExpressionParser | None:
        """Add texts and outputs to the body up to the next ``{% tag %}``; None at the end."""
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, TextPiece):
                body.append(_make_output(nodes.Const(piece.value, lineno=piece.line), piece.line))
                continue
            if piece.problem:
                raise TemplateSyntaxFault(piece.problem, piece.line)
            tag = ExpressionParser(piece, self._filters)
            if not piece.is_output:
                return tag
            body.append(_make_output(tag.read_expression(), piece.line))
            tag.expect_end()
        return None

    def _read_block(self, tag: ExpressionParser, end: str) -> Body:
        tag.expect_end()
        body, _, end_tag = self._read_until(end)
        end_tag.expect_end()
        return body

    def _read_tag(self, name: str, tag: ExpressionParser) -> Body:
        if name in _REFUSED:
            raise tag.make_fault(
                f"{{% {name} %}} is refused: templates here have no files and no macros"
            )
        if name not in self._tags:
            raise tag.make_fault(f"there is no tag {{% {name} %}}, or it does not belong here")
        if self._depth > _DEEPEST:
            raise tag.make_fault(f"tags are nested deeper than {_DEEPEST}")
        return self._tags[name](tag)

    def _number_state(self, tag: ExpressionParser) -> nodes.Const:
        """Number a tag that keeps state during a rendering."""
        self._states += 1
        return tag.make_constant(self._states)

    def _read_autoescape(self, tag: ExpressionParser) -> Body:
        tag.expect(TokenKind.NAME, "off")
        return self._read_block(tag, "endautoescape")

    def _read_comment(self, tag: ExpressionParser) -> Body:
        tag.expect_end()
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if not isinstance(piece, TagPiece) or piece.is_output:
                continue
            if piece.tokens[0].value == "endcomment":
                return []
        raise tag.make_fault("{% endcomment %} is missing")

    def _read_cycle(self, tag: ExpressionParser) -> Body:
        values = [tag.read_expression()]
        while not tag.at_end and not tag.take(TokenKind.KEYWORD, "as"):
            values.append(tag.read_expression())
        name = tag.take(TokenKind.NAME) if not tag.at_end else None
        silent = bool(name and tag.take(TokenKind.NAME, "silent"))
        tag.expect_end()
        options = [self._number_state(tag), tag.make_constant(name), tag.make_constant(silent)]
        return [_make_output(tag.make_operation("$cycle", *options, *values), tag.line)]

    def _read_filter(self, tag: ExpressionParser) -> Body:
        made = tag.read_filter(None)
        while tag.take(TokenKind.SYMBOL, "|") and not tag.at_end:
            made = tag.read_filter(made)
        body = self._read_block(tag, "endfilter")
        return [_make_filter_block(body, tag.make_operation("$print", made))]

    def _read_spaceless(self, tag: ExpressionParser) -> Body:
        made = tag.make_operation("$print", tag.make_operation("$spaceless", None))
        return [_make_filter_block(self._read_block(tag, "endspaceless"), made)]

    def _read_firstof(self, tag: ExpressionParser) -> Body:
        made: nodes.Expr = tag.make_constant(None)
        values: list[nodes.Expr] = []
        while not tag.at_end:
            values.append(tag.read_expression())
        for value in reversed(values):
            is_true = tag.make_operation("$true", value)
            made = nodes.CondExpr(is_true, value, made, lineno=tag.line)
        return [_make_output(made, tag.line)]

    def _read_for(self, tag: ExpressionParser) -> Body:
        names = [tag.expect(TokenKind.NAME)]
        if tag.take(TokenKind.SYMBOL, ","):
            names.append(tag.expect(TokenKind.NAME))
        tag.expect(TokenKind.KEYWORD, "in")
        values = tag.read_expression()
        backwards = bool(tag.take(TokenKind.NAME, "reversed"))
        in_order = bool(tag.take(TokenKind.NAME, "sorted"))
        tag.expect_end()
        options = [tag.make_constant(value) for value in (tuple(names), backwards, in_order)]
        each = tag.make_operation("$each", values, *options)
        body, end, end_tag = self._read_until("empty", "endfor")
        otherwise = self._read_block(end_tag, "endfor") if end == "empty" else []
        if end != "empty":
            end_tag.expect_end()
        target = nodes.Name("_", "store", lineno=tag.line)
        return [nodes.For(target, each, body, otherwise, None, False, lineno=tag.line)]

    def _read_if(self, tag: ExpressionParser) -> Body:
        tests, bodies, otherwise = [tag.read_condition()], [], Body()
        while True:
            tag.expect_end()
            body, end, tag = self._read_until("elif", "else", "endif")
            bodies.append(body)
            if end != "elif":
                break
            tests.append(tag.read_condition())
        if end == "else":
            otherwise = self._read_block(tag, "endif")
        else:
            tag.expect_end()
        first, *others = (
            nodes.If(test, body, [], [], lineno=test.lineno)
            for test, body in zip(tests, bodies, strict=True)
        )
        first.elif_, first.else_ = others, otherwise
        return [first]

    def _read_branches(self, tag: ExpressionParser, test: nodes.Expr, end_name: str) -> Body:
        """Read the body of a condition, and that of its ``{% else %}``, if it has one."""
        tag.expect_end()
        body, end, end_tag = self._read_until("else", end_name)
        otherwise = self._read_block(end_tag, end_name) if end == "else" else []
        if end != "else":
            end_tag.expect_end()
        return [nodes.If(test, body, [], otherwise, lineno=tag.line)]

    def _read_ifequal(self, tag: ExpressionParser, operator: str) -> Body:
        left = tag.read_expression()
        test = tag.make_operation(operator, left, tag.read_expression())
        return self._read_branches(
            tag, test, "endifequal" if operator == "$==" else "endifnotequal"
        )

    def _read_ifchanged(self, tag: ExpressionParser) -> Body:
        values = [tag.read_expression()]
        while not tag.at_end:
            values.append(tag.read_expression())
        return self._read_branches(
            tag, tag.make_operation("$changed", self._number_state(tag), *values), "endifchanged"
        )

    def _read_now(self, tag: ExpressionParser) -> Body:
        layout = tag.make_constant(tag.expect(TokenKind.STRING))
        fake = tag.make_constant(tag.take(TokenKind.NAME, "fake") is not None)
        tag.expect_end()
        return [_make_output(tag.make_operation("$now", layout, fake), tag.line)]

    def _read_set(self, tag: ExpressionParser) -> Body:
        name = tag.expect(TokenKind.NAME)
        tag.expect(TokenKind.SYMBOL, "=")
        made = tag.make_operation("$set", tag.read_expression(), tag.make_constant(name))
        tag.expect_end()
        return [_make_statement(made, tag.line)]

    def _read_templatetag(self, tag: ExpressionParser) -> Body:
        name = tag.expect(TokenKind.NAME, *_TEMPLATE_TAGS)
        tag.expect_end()
        return [_make_output(tag.make_constant(_TEMPLATE_TAGS[name]), tag.line)]

    def _read_widthratio(self, tag: ExpressionParser) -> Body:
        values = [tag.read_expression() for _ in range(3)]
        made = tag.make_operation("$widthratio", *values)
        name = tag.expect(TokenKind.NAME) if tag.take(TokenKind.KEYWORD, "as") else None
        tag.expect_end()
        if name:
            return [
                _make_statement(tag.make_operation("$set", made, tag.make_constant(name)), tag.line)
            ]
        return [_make_output(made, tag.line)]

    def _read_with(self, tag: ExpressionParser) -> Body:
        names: list[str] = []
        values: list[nodes.Expr] = []
        while not tag.at_end:
            name, value = self._read_pair(tag)
            names.append(name)
            values.append(value)
        enter = tag.make_operation("$enter", tag.make_constant(tuple(names)), *values)
        leave = tag.make_operation("$leave", tag.make_constant(None))
        body = self._read_block(tag, "endwith")
        return [_make_statement(enter, tag.line), *body, _make_statement(leave, tag.line)]

    def _read_pair(self, tag: ExpressionParser) -> tuple[str, nodes.Expr]:
        """Read ``name=value`` or the older ``value as name``."""
        value = tag.read_expression()
        if tag.take(TokenKind.KEYWORD, "as"):
            return tag.expect(TokenKind.NAME), value
        tag.expect(TokenKind.SYMBOL, "=")
        match value:
            case nodes.Filter(name="$variable", node=nodes.Const(value=str(name))):
                return name, tag.read_expression()
        raise tag.make_fault("{% with %} takes pairs like name=value")


def _make_output(value: nodes.Expr, line: int) -> nodes.Node:
    printed = nodes.Filter(value, "$print", [], [], None, None, lineno=line)
    return nodes.Output([printed], lineno=line)


def _make_statement(value: nodes.Expr, line: int) -> nodes.Node:
    return nodes.ExprStmt(value, lineno=line)


def _make_filter_block(body: Body, made: nodes.Filter) -> nodes.Node:
    return nodes.FilterBlock(body, made, lineno=made.lineno)
