"""pongo2's expressions as Jinja2 nodes.

Owns the grammar of what stands between ``{{`` and ``}}`` and after a tag's name. Every operation
becomes a Jinja2 filter whose name begins with ``$`` (no template can write such a name): what they
do is in :mod:`flyte_host.embedded.pongo2.runtime`. Must not know blocks or values.

The grammar is pongo2's, oddities and all: ``&&`` and ``||`` have the same precedence and group to
the right, ``!`` and ``not`` bind tighter than comparisons, a filter's argument is a literal or a
variable without filters of its own.
"""

from collections.abc import Container

from jinja2 import nodes

from flyte_host.embedded.pongo2.lexer import Kind, SyntaxFault, Tag, Token, whole_number

_DEEPEST = 60
_COMPARISONS = {"==", "<=", ">=", "!=", "<>", ">", "<"}


class Expressions:
    """Reads the tokens of one tag from left to right."""

    def __init__(self, tag: Tag, filters: Container[str]) -> None:
        self.line = tag.line
        self._tokens = tag.tokens
        self._filters = filters
        self._position = 0
        self._depth = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._position]

    def fault(self, message: str) -> SyntaxFault:
        return SyntaxFault(message, self.line)

    def take(self, kind: Kind, *values: str) -> str | None:
        """The current token's text, if it is of this kind and one of these, and go on."""
        token = self.current
        if token.kind is not kind or (values and token.value not in values):
            return None
        self._position += kind is not Kind.END
        return token.value

    def expect(self, kind: Kind, *values: str) -> str:
        taken = self.take(kind, *values)
        if taken is None:
            wanted = " or ".join(values) or f"a {kind.name.lower()}"
            raise self.fault(f"{wanted} is expected, not {self.current.value!r}")
        return taken

    def end(self) -> None:
        self.expect(Kind.END, self._tokens[-1].value)

    @property
    def at_end(self) -> bool:
        return self.current.kind is Kind.END

    def operation(self, name: str, first: nodes.Expr | None, *others: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(first, name, list(others), [], None, None, lineno=self.line)

    def constant(self, value: object) -> nodes.Const:
        return nodes.Const(value, lineno=self.line)

    def condition(self) -> nodes.Expr:
        return self._truth(self.expression())

    def _truth(self, made: nodes.Expr) -> nodes.Expr:
        # Not of what is a bool anyway: Python bounds how deep its parentheses go.
        is_bool = isinstance(made, nodes.And | nodes.Or)
        return made if is_bool else self.operation("$true", made)

    def expression(self) -> nodes.Expr:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.fault(f"an expression is nested deeper than {_DEEPEST}")
        made = self._logical()
        self._depth -= 1
        return made

    def _logical(self) -> nodes.Expr:
        left = self._relational()
        operator = self.take(Kind.SYMBOL, "&&", "||") or self.take(Kind.KEYWORD, "and", "or")
        if not operator:
            return left
        join = nodes.And if operator in {"&&", "and"} else nodes.Or
        return join(self._truth(left), self._truth(self._logical()), lineno=self.line)

    def _relational(self) -> nodes.Expr:
        left = self._sum()
        if operator := self.take(Kind.SYMBOL, *_COMPARISONS):
            return self.operation(f"${operator}", left, self._relational())
        if self.take(Kind.KEYWORD, "in"):
            return self.operation("$in", left, self._sum())
        return left

    def _sum(self) -> nodes.Expr:
        sign = self.take(Kind.SYMBOL, "+", "-")
        negated = self.take(Kind.SYMBOL, "!") or self.take(Kind.KEYWORD, "not")
        made = self._product()
        if negated:
            made = self.operation("$not", made)
        if sign == "-":
            made = self.operation("$negative", made)
        while operator := self.take(Kind.SYMBOL, "+", "-"):
            made = self.operation(f"${operator}", made, self._product())
        return made

    def _product(self) -> nodes.Expr:
        made = self._power()
        while operator := self.take(Kind.SYMBOL, "*", "/", "%"):
            made = self.operation(f"${operator}", made, self._power())
        return made

    def _power(self) -> nodes.Expr:
        base = self._factor()
        if self.take(Kind.SYMBOL, "^"):
            return self.operation("$^", base, self._power())
        return base

    def _factor(self) -> nodes.Expr:
        if self.take(Kind.SYMBOL, "("):
            made = self.expression()
            self.expect(Kind.SYMBOL, ")")
            return made
        made = self._variable_or_literal()
        while self.take(Kind.SYMBOL, "|"):
            made = self.filter(made)
        return made

    def filter(self, value: nodes.Expr | None) -> nodes.Filter:
        """``name`` or ``name:argument`` behind a bar, applied to ``value``."""
        name = self.expect(Kind.NAME)
        if name not in self._filters:
            raise self.fault(f"there is no filter {name!r}")
        if self.take(Kind.SYMBOL, ":"):
            return self.operation(name, value, self._variable_or_literal())
        return self.operation(name, value)

    def _variable_or_literal(self) -> nodes.Expr:
        if (digits := self.take(Kind.NUMBER)) is not None:
            return self.constant(self._number(digits))
        if (text := self.take(Kind.STRING)) is not None:
            return self.constant(text)
        if boolean := self.take(Kind.KEYWORD, "true", "false"):
            return self.constant(boolean == "true")
        return self._variable()

    def _number(self, digits: str) -> int | float:
        if self.take(Kind.SYMBOL, "."):
            return float(f"{digits}.{self.expect(Kind.NUMBER)}")
        return self._whole(digits)

    def _whole(self, digits: str) -> int:
        try:
            return whole_number(digits)
        except ValueError as error:
            raise self.fault(str(error)) from None

    def _variable(self) -> nodes.Expr:
        name = self.take(Kind.NAME)
        if name is None:
            found = self.current.value
            raise self.fault(f"a value is expected: a name, number or string, not {found!r}")
        made = self._called("$call", "$variable", self.constant(name))
        while self.take(Kind.SYMBOL, "."):
            if (digits := self.take(Kind.NUMBER)) is not None:
                made = self.operation("$index", made, self.constant(self._whole(digits)))
                continue
            field = self._field()
            made = self._called("$method", "$field", made, self.constant(field))
        return made

    def _field(self) -> str:
        if self.current.kind is Kind.KEYWORD:
            word = self.current.value
            raise self.fault(f'.{word} is not allowed since {word!r} is a keyword: |key:"{word}"')
        return self.expect(Kind.NAME)

    def _called(self, call: str, plain: str, *operands: nodes.Expr) -> nodes.Expr:
        if not self.take(Kind.SYMBOL, "("):
            return self.operation(plain, *operands)
        arguments: list[nodes.Expr] = []
        while not self.take(Kind.SYMBOL, ")"):
            arguments.append(self.expression())
            if self.take(Kind.SYMBOL, ",") is None and self.current.value != ")":
                raise self.fault(f", or ) is expected, not {self.current.value!r}")
        return self.operation(call, *operands, *arguments)
