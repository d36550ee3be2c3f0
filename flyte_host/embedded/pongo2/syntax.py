"""pongo2's templates as Jinja2 node trees.

Owns the tags. What they do at run time are Jinja2 filters whose names begin with ``$``, see
:mod:`flyte_host.embedded.pongo2.runtime`. Must not know values, limits or events.
"""

from collections.abc import Callable, Container

from jinja2 import nodes

from flyte_host.embedded.pongo2.expressions import Expressions
from flyte_host.embedded.pongo2.lexer import Kind, SyntaxFault, Tag, Text, pieces

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


def parse(source: str, filters: Container[str]) -> nodes.Template:
    """The node tree of a template that may use these filters. Raises SyntaxFault."""
    return nodes.Template(_Blocks(source, filters).whole(), lineno=1)


class _Blocks:
    def __init__(self, source: str, filters: Container[str]) -> None:
        self._pieces = pieces(source)
        self._filters = filters
        self._position = 0
        self._depth = 0
        self._states = 0
        self._tags: dict[str, Callable[[Expressions], Body]] = {
            "autoescape": self._autoescape,
            "comment": self._comment,
            "cycle": self._cycle,
            "filter": self._filter,
            "firstof": self._firstof,
            "for": self._for,
            "if": self._if,
            "ifchanged": self._ifchanged,
            "ifequal": lambda tag: self._ifequal(tag, "$=="),
            "ifnotequal": lambda tag: self._ifequal(tag, "$!="),
            "now": self._now,
            "set": self._set,
            "spaceless": self._spaceless,
            "templatetag": self._templatetag,
            "widthratio": self._widthratio,
            "with": self._with,
        }

    def whole(self) -> Body:
        body: Body = []
        while (tag := self._gather(body)) is not None:
            body += self._tag(tag.expect(Kind.NAME), tag)
        return body

    def _until(self, *ends: str) -> tuple[Body, str, Expressions]:
        """Everything up to one of these tags, which of them it was, and the rest of that tag."""
        body: Body = []
        self._depth += 1
        while (tag := self._gather(body)) is not None:
            name = tag.expect(Kind.NAME)
            if name in ends:
                self._depth -= 1
                return body, name, tag
            body += self._tag(name, tag)
        missing = f"{{% {' or '.join(ends)} %}} is missing"
        raise SyntaxFault(missing, self._pieces[-1].line)

    def _gather(self, body: Body) -> Expressions | None:
        """Put texts and outputs into the body up to the next ``{% tag %}``; None at the end."""
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, Text):
                body.append(_output(nodes.Const(piece.value, lineno=piece.line), piece.line))
                continue
            tag = Expressions(piece, self._filters)
            if not piece.is_output:
                return tag
            body.append(_output(tag.expression(), piece.line))
            tag.end()
        return None

    def _block(self, tag: Expressions, end: str) -> Body:
        tag.end()
        body, _, end_tag = self._until(end)
        end_tag.end()
        return body

    def _tag(self, name: str, tag: Expressions) -> Body:
        if name in _REFUSED:
            raise tag.fault(
                f"{{% {name} %}} is refused: a template here has no files and no macros"
            )
        if name not in self._tags:
            raise tag.fault(f"there is no tag {{% {name} %}}, or it does not belong here")
        if self._depth > _DEEPEST:
            raise tag.fault(f"tags are nested deeper than {_DEEPEST}")
        return self._tags[name](tag)

    def _state(self, tag: Expressions) -> nodes.Const:
        """The name under which this very tag keeps something while a template is rendered."""
        self._states += 1
        return tag.constant(self._states)

    def _autoescape(self, tag: Expressions) -> Body:
        tag.expect(Kind.NAME, "off")
        return self._block(tag, "endautoescape")

    def _comment(self, tag: Expressions) -> Body:
        tag.end()
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, Tag) and piece.tokens[0].value == "endcomment":
                return []
        raise tag.fault("{% endcomment %} is missing")

    def _cycle(self, tag: Expressions) -> Body:
        values = [tag.expression()]
        while not tag.at_end and not tag.take(Kind.KEYWORD, "as"):
            values.append(tag.expression())
        name = tag.take(Kind.NAME) if not tag.at_end else None
        silent = bool(name and tag.take(Kind.NAME, "silent"))
        tag.end()
        made: nodes.Expr = tag.operation("$cycle", self._state(tag), *values)
        if name:
            made = tag.operation("$set", made, tag.constant(name))
        return [_statement(made, tag.line) if silent else _output(made, tag.line)]

    def _filter(self, tag: Expressions) -> Body:
        made = tag.filter(None)
        while tag.take(Kind.SYMBOL, "|"):
            made = tag.filter(made)
        body = self._block(tag, "endfilter")
        return [_filtered(body, tag.operation("$print", made))]

    def _spaceless(self, tag: Expressions) -> Body:
        made = tag.operation("$print", tag.operation("$spaceless", None))
        return [_filtered(self._block(tag, "endspaceless"), made)]

    def _firstof(self, tag: Expressions) -> Body:
        made: nodes.Expr = tag.constant(None)
        values: list[nodes.Expr] = []
        while not tag.at_end:
            values.append(tag.expression())
        for value in reversed(values):
            is_true = tag.operation("$true", value)
            made = nodes.CondExpr(is_true, value, made, lineno=tag.line)
        return [_output(made, tag.line)]

    def _for(self, tag: Expressions) -> Body:
        names = [tag.expect(Kind.NAME)]
        if tag.take(Kind.SYMBOL, ","):
            names.append(tag.expect(Kind.NAME))
        tag.expect(Kind.KEYWORD, "in")
        values = tag.expression()
        backwards = bool(tag.take(Kind.NAME, "reversed"))
        in_order = bool(tag.take(Kind.NAME, "sorted"))
        tag.end()
        options = [tag.constant(value) for value in (tuple(names), backwards, in_order)]
        each = tag.operation("$each", values, *options)
        body, end, end_tag = self._until("empty", "endfor")
        otherwise = self._block(end_tag, "endfor") if end == "empty" else []
        if end != "empty":
            end_tag.end()
        target = nodes.Name("_", "store", lineno=tag.line)
        return [nodes.For(target, each, body, otherwise, None, False, lineno=tag.line)]

    def _if(self, tag: Expressions) -> Body:
        tests, bodies, otherwise = [tag.condition()], [], Body()
        while True:
            tag.end()
            body, end, tag = self._until("elif", "else", "endif")
            bodies.append(body)
            if end != "elif":
                break
            tests.append(tag.condition())
        if end == "else":
            otherwise = self._block(tag, "endif")
        else:
            tag.end()
        first, *others = (
            nodes.If(test, body, [], [], lineno=test.lineno)
            for test, body in zip(tests, bodies, strict=True)
        )
        first.elif_, first.else_ = others, otherwise
        return [first]

    def _either(self, tag: Expressions, test: nodes.Expr, end_name: str) -> Body:
        """What ``{% else %}`` may part, under a test that is made already."""
        tag.end()
        body, end, end_tag = self._until("else", end_name)
        otherwise = self._block(end_tag, end_name) if end == "else" else []
        if end != "else":
            end_tag.end()
        return [nodes.If(test, body, [], otherwise, lineno=tag.line)]

    def _ifequal(self, tag: Expressions, operator: str) -> Body:
        left = tag.expression()
        test = tag.operation(operator, left, tag.expression())
        return self._either(tag, test, "endifequal" if operator == "$==" else "endifnotequal")

    def _ifchanged(self, tag: Expressions) -> Body:
        values = [tag.expression()]
        while not tag.at_end:
            values.append(tag.expression())
        return self._either(
            tag, tag.operation("$changed", self._state(tag), *values), "endifchanged"
        )

    def _now(self, tag: Expressions) -> Body:
        layout = tag.constant(tag.expect(Kind.STRING))
        tag.end()
        return [_output(tag.operation("$now", layout), tag.line)]

    def _set(self, tag: Expressions) -> Body:
        name = tag.expect(Kind.NAME)
        tag.expect(Kind.SYMBOL, "=")
        made = tag.operation("$set", tag.expression(), tag.constant(name))
        tag.end()
        return [_statement(made, tag.line)]

    def _templatetag(self, tag: Expressions) -> Body:
        name = tag.expect(Kind.NAME, *_TEMPLATE_TAGS)
        tag.end()
        return [_output(tag.constant(_TEMPLATE_TAGS[name]), tag.line)]

    def _widthratio(self, tag: Expressions) -> Body:
        values = [tag.expression() for _ in range(3)]
        made = tag.operation("$widthratio", *values)
        name = tag.expect(Kind.NAME) if tag.take(Kind.KEYWORD, "as") else None
        tag.end()
        if name:
            return [_statement(tag.operation("$set", made, tag.constant(name)), tag.line)]
        return [_output(made, tag.line)]

    def _with(self, tag: Expressions) -> Body:
        names: list[str] = []
        values: list[nodes.Expr] = []
        while not tag.at_end:
            name, value = self._pair(tag)
            names.append(name)
            values.append(value)
        enter = tag.operation("$enter", tag.constant(tuple(names)), *values)
        leave = tag.operation("$leave", tag.constant(None))
        body = self._block(tag, "endwith")
        return [_statement(enter, tag.line), *body, _statement(leave, tag.line)]

    def _pair(self, tag: Expressions) -> tuple[str, nodes.Expr]:
        """``name=value`` or the older ``value as name``."""
        value = tag.expression()
        if tag.take(Kind.KEYWORD, "as"):
            return tag.expect(Kind.NAME), value
        tag.expect(Kind.SYMBOL, "=")
        match value:
            case nodes.Filter(name="$variable", node=nodes.Const(value=str(name))):
                return name, tag.expression()
        raise tag.fault("{% with %} takes pairs like name=value")


def _output(value: nodes.Expr, line: int) -> nodes.Node:
    printed = nodes.Filter(value, "$print", [], [], None, None, lineno=line)
    return nodes.Output([printed], lineno=line)


def _statement(value: nodes.Expr, line: int) -> nodes.Node:
    return nodes.ExprStmt(value, lineno=line)


def _filtered(body: Body, made: nodes.Filter) -> nodes.Node:
    return nodes.FilterBlock(body, made, lineno=made.lineno)
