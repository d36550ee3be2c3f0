"""pongo2's expressions as Jinja2 nodes.

Reads the text between ``{{`` and ``}}`` and after a tag's name. Every operation becomes a Jinja2
filter whose name begins with ``$``, which no template can write;
:mod:`flyte_host.embedded.pongo2.operations` says what it does.

The grammar is pongo2's, oddities and all: ``&&`` and ``||`` have the same precedence and group to
the right, ``!`` and ``not`` bind tighter than comparisons, and a filter's argument is a literal or
a variable without its own filters.
"""

from collections.abc import Container

from jinja2 import nodes

from flyte_host.embedded.pongo2.faults import TemplateSyntaxFault
from flyte_host.embedded.pongo2.lexer import (
    LexToken,
    TagPiece,
    TokenKind,
    read_integer,
)

_DEEPEST = 60
_COMPARISONS = {"==", "<=", ">=", "!=", "<>", ">", "<"}


class ExpressionParser:
    """Reads the tokens of one tag from left to right."""

    def __init__(self, tag: TagPiece, filters: Container[str]) -> None:
        self.line = tag.line
        self._tokens = tag.tokens
        self._filters = filters
        self._position = 0
        self._depth = 0

    @property
    def current(self) -> LexToken:
        return self._tokens[self._position]

    def make_fault(self, message: str) -> TemplateSyntaxFault:
        return TemplateSyntaxFault(message, self.line)

    def take(self, kind: TokenKind, *values: str) -> str | None:
        """Consume the current token if it is of this kind and one of these; return its text."""
        token = self.current
        if token.kind is not kind or (values and token.value not in values):
            return None
        self._position += kind is not TokenKind.END
        return token.value

    def expect(self, kind: TokenKind, *values: str) -> str:
        taken = self.take(kind, *values)
        if taken is None:
            wanted = " or ".join(values) or f"a {kind.name.lower()}"
            raise self.make_fault(f"found {self.current.value!r}, expected {wanted}")
        return taken

    def expect_end(self) -> None:
        self.expect(TokenKind.END, self._tokens[-1].value)

    @property
    def at_end(self) -> bool:
        return self.current.kind is TokenKind.END

    def make_operation(
        self, name: str, first: nodes.Expr | None, *others: nodes.Expr
    ) -> nodes.Filter:
        return nodes.Filter(first, name, list(others), [], None, None, lineno=self.line)

    def make_constant(self, value: object) -> nodes.Const:
        return nodes.Const(value, lineno=self.line)

    def read_condition(self) -> nodes.Expr:
        return self._make_bool(self.read_expression())

    def _make_bool(self, made: nodes.Expr) -> nodes.Expr:
        # A bool needs no call: Python limits how deep its parentheses nest.
        is_bool = isinstance(made, nodes.And | nodes.Or)
        return made if is_bool else self.make_operation("$true", made)

    def read_expression(self) -> nodes.Expr:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.make_fault(f"an expression is nested deeper than {_DEEPEST}")
        made = self._read_logical()
        self._depth -= 1
        return made

    def _read_logical(self) -> nodes.Expr:
        left = self._read_relational()
        operator = self.take(TokenKind.SYMBOL, "&&", "||") or self.take(
            TokenKind.KEYWORD, "and", "or"
        )
        if not operator:
            return left
        join = nodes.And if operator in {"&&", "and"} else nodes.Or
        return join(self._make_bool(left), self._make_bool(self._read_logical()), lineno=self.line)

    def _read_relational(self) -> nodes.Expr:
        left = self._read_sum()
        if operator := self.take(TokenKind.SYMBOL, *_COMPARISONS):
            return self.make_operation(f"${operator}", left, self._read_relational())
        if self.take(TokenKind.KEYWORD, "in"):
            return self.make_operation("$in", left, self._read_sum())
        return left

    def _read_sum(self) -> nodes.Expr:
        sign = self.take(TokenKind.SYMBOL, "+", "-")
        invert = self.take(TokenKind.SYMBOL, "!") or self.take(TokenKind.KEYWORD, "not")
        made = self._read_product()
        if invert:
            made = self.make_operation("$not", made)
        if sign == "-":
            made = self.make_operation("$negative", made)
        while operator := self.take(TokenKind.SYMBOL, "+", "-"):
            made = self.make_operation(f"${operator}", made, self._read_product())
        return made

    def _read_product(self) -> nodes.Expr:
        made = self._read_power()
        while operator := self.take(TokenKind.SYMBOL, "*", "/", "%"):
            made = self.make_operation(f"${operator}", made, self._read_power())
        return made

    def _read_power(self) -> nodes.Expr:
        base = self._read_factor()
        if self.take(TokenKind.SYMBOL, "^"):
            return self.make_operation("$^", base, self._read_power())
        return base

    def _read_factor(self) -> nodes.Expr:
        if self.take(TokenKind.SYMBOL, "("):
            made = self.read_expression()
            self.expect(TokenKind.SYMBOL, ")")
            return made
        made = self._read_variable_or_literal()
        while self.take(TokenKind.SYMBOL, "|"):
            made = self.read_filter(made)
        return made

    def read_filter(self, value: nodes.Expr | None) -> nodes.Filter:
        """Read ``name`` or ``name:argument`` after a bar, and apply it to ``value``."""
        name = self.expect(TokenKind.NAME)
        if name not in self._filters:
            raise self.make_fault(f"there is no filter {name!r}")
        if self.take(TokenKind.SYMBOL, ":"):
            return self.make_operation(name, value, self._read_variable_or_literal())
        return self.make_operation(name, value)

    def _read_variable_or_literal(self) -> nodes.Expr:
        if (digits := self.take(TokenKind.NUMBER)) is not None:
            return self.make_constant(self._read_number(digits))
        if (text := self.take(TokenKind.STRING)) is not None:
            return self.make_constant(text)
        if boolean := self.take(TokenKind.KEYWORD, "true", "false"):
            return self.make_constant(boolean == "true")
        return self._read_variable()

    def _read_number(self, digits: str) -> int | float:
        if self.take(TokenKind.SYMBOL, "."):
            return float(f"{digits}.{self.expect(TokenKind.NUMBER)}")
        return self._read_whole(digits)

    def _read_whole(self, digits: str) -> int:
        try:
            return read_integer(digits)
        except ValueError as error:
            raise self.make_fault(str(error)) from None

    def _read_variable(self) -> nodes.Expr:
        name = self.take(TokenKind.NAME)
        if name is None:
            found = self.current.value
            raise self.make_fault(f"found {found!r}, expected a value: a name, number or string")
        made = self._read_call("$call", "$variable", self.make_constant(name))
        while self.take(TokenKind.SYMBOL, "."):
            if (digits := self.take(TokenKind.NUMBER)) is not None:
                made = self.make_operation(
                    "$index", made, self.make_constant(self._read_whole(digits))
                )
                continue
            field = self._read_field()
            made = self._read_call("$method", "$field", made, self.make_constant(field))
        return made

    def _read_field(self) -> str:
        if self.current.kind is TokenKind.KEYWORD:
            word = self.current.value
            raise self.make_fault(
                f'.{word} is not allowed because {word!r} is a keyword; write |key:"{word}"'
            )
        return self.expect(TokenKind.NAME)

    def _read_call(self, call: str, plain: str, *operands: nodes.Expr) -> nodes.Expr:
        if not self.take(TokenKind.SYMBOL, "("):
            return self.make_operation(plain, *operands)
        arguments: list[nodes.Expr] = []
        while not self.take(TokenKind.SYMBOL, ")"):
            arguments.append(self.read_expression())
            if self.take(TokenKind.SYMBOL, ",") is None and self.current.value != ")":
                raise self.make_fault(f"found {self.current.value!r}, expected , or )")
        return self.make_operation(call, *operands, *arguments)
