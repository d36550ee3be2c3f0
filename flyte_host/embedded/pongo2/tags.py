"""pongo2's tags, each as a function that reads it.

Owns what may be written in a tag and which nodes it becomes. What the nodes do at run time is in
:mod:`flyte_host.embedded.pongo2.operations`.
"""

from collections.abc import Mapping
from functools import partial

from jinja2 import nodes

from flyte_host.embedded.pongo2.expression_parser import ExpressionParser
from flyte_host.embedded.pongo2.lexer import TokenKind
from flyte_host.embedded.pongo2.template_parser import (
    Body,
    ReadTag,
    TemplateParser,
    make_output,
)

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


def _read_autoescape(tag: ExpressionParser, template: TemplateParser) -> Body:
    tag.expect(TokenKind.NAME, "off")
    return template.read_block(tag, "endautoescape")


def _read_comment(tag: ExpressionParser, template: TemplateParser) -> Body:
    tag.expect_end()
    if not template.skip_to("endcomment"):
        raise tag.make_fault("{% endcomment %} is missing")
    return []


def _read_cycle(tag: ExpressionParser, template: TemplateParser) -> Body:
    values = [tag.read_expression()]
    while not tag.at_end and not tag.take(TokenKind.KEYWORD, "as"):
        values.append(tag.read_expression())
    name = tag.take(TokenKind.NAME) if not tag.at_end else None
    silent = bool(name and tag.take(TokenKind.NAME, "silent"))
    tag.expect_end()
    options = [tag.make_constant(value) for value in (template.number_state(), name, silent)]
    return [make_output(tag.make_operation("$cycle", *options, *values), tag.line)]


def _read_filter(tag: ExpressionParser, template: TemplateParser) -> Body:
    made = tag.read_filter(None)
    while tag.take(TokenKind.SYMBOL, "|") and not tag.at_end:
        made = tag.read_filter(made)
    body = template.read_block(tag, "endfilter")
    return [_make_filter_block(body, tag.make_operation("$print", made))]


def _read_spaceless(tag: ExpressionParser, template: TemplateParser) -> Body:
    made = tag.make_operation("$print", tag.make_operation("$spaceless", None))
    return [_make_filter_block(template.read_block(tag, "endspaceless"), made)]


def _read_firstof(tag: ExpressionParser, _: TemplateParser) -> Body:
    made: nodes.Expr = tag.make_constant(None)
    for value in reversed(_read_values(tag)):
        is_true = tag.make_operation("$true", value)
        made = nodes.CondExpr(is_true, value, made, lineno=tag.line)
    return [make_output(made, tag.line)]


def _read_for(tag: ExpressionParser, template: TemplateParser) -> Body:
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
    body, otherwise = _read_bodies(template, "empty", "endfor")
    target = nodes.Name("_", "store", lineno=tag.line)
    return [nodes.For(target, each, body, otherwise, None, False, lineno=tag.line)]


def _read_if(tag: ExpressionParser, template: TemplateParser) -> Body:
    tests, bodies, otherwise = [tag.read_condition()], [], Body()
    while True:
        tag.expect_end()
        body, end, tag = template.read_until("elif", "else", "endif")
        bodies.append(body)
        if end != "elif":
            break
        tests.append(tag.read_condition())
    if end == "else":
        otherwise = template.read_block(tag, "endif")
    else:
        tag.expect_end()
    first, *others = (
        nodes.If(test, body, [], [], lineno=test.lineno)
        for test, body in zip(tests, bodies, strict=True)
    )
    first.elif_, first.else_ = others, otherwise
    return [first]


def _read_ifequal(
    tag: ExpressionParser, template: TemplateParser, *, operator: str, end: str
) -> Body:
    left = tag.read_expression()
    test = tag.make_operation(operator, left, tag.read_expression())
    tag.expect_end()
    return [_make_if(tag, test, *_read_bodies(template, "else", end))]


def _read_ifchanged(tag: ExpressionParser, template: TemplateParser) -> Body:
    values = [tag.read_expression(), *_read_values(tag)]
    state = tag.make_constant(template.number_state())
    test = tag.make_operation("$changed", state, *values)
    tag.expect_end()
    return [_make_if(tag, test, *_read_bodies(template, "else", "endifchanged"))]


def _read_now(tag: ExpressionParser, _: TemplateParser) -> Body:
    layout = tag.make_constant(tag.expect(TokenKind.STRING))
    fake = tag.make_constant(tag.take(TokenKind.NAME, "fake") is not None)
    tag.expect_end()
    return [make_output(tag.make_operation("$now", layout, fake), tag.line)]


def _read_set(tag: ExpressionParser, _: TemplateParser) -> Body:
    name = tag.expect(TokenKind.NAME)
    tag.expect(TokenKind.SYMBOL, "=")
    value = tag.read_expression()
    tag.expect_end()
    return [_make_set(tag, name, value)]


def _read_templatetag(tag: ExpressionParser, _: TemplateParser) -> Body:
    name = tag.expect(TokenKind.NAME, *_TEMPLATE_TAGS)
    tag.expect_end()
    return [make_output(tag.make_constant(_TEMPLATE_TAGS[name]), tag.line)]


def _read_widthratio(tag: ExpressionParser, _: TemplateParser) -> Body:
    values = [tag.read_expression() for _ in range(3)]
    made = tag.make_operation("$widthratio", *values)
    name = tag.expect(TokenKind.NAME) if tag.take(TokenKind.KEYWORD, "as") else None
    tag.expect_end()
    return [_make_set(tag, name, made) if name else make_output(made, tag.line)]


def _read_with(tag: ExpressionParser, template: TemplateParser) -> Body:
    names: list[str] = []
    values: list[nodes.Expr] = []
    while not tag.at_end:
        name, value = _read_pair(tag)
        names.append(name)
        values.append(value)
    enter = tag.make_operation("$enter", tag.make_constant(tuple(names)), *values)
    leave = tag.make_operation("$leave", tag.make_constant(None))
    body = template.read_block(tag, "endwith")
    return [_make_statement(enter, tag.line), *body, _make_statement(leave, tag.line)]


TAGS: Mapping[str, ReadTag] = {
    "autoescape": _read_autoescape,
    "comment": _read_comment,
    "cycle": _read_cycle,
    "filter": _read_filter,
    "firstof": _read_firstof,
    "for": _read_for,
    "if": _read_if,
    "ifchanged": _read_ifchanged,
    "ifequal": partial(_read_ifequal, operator="$==", end="endifequal"),
    "ifnotequal": partial(_read_ifequal, operator="$!=", end="endifnotequal"),
    "now": _read_now,
    "set": _read_set,
    "spaceless": _read_spaceless,
    "templatetag": _read_templatetag,
    "widthratio": _read_widthratio,
    "with": _read_with,
}


def _read_values(tag: ExpressionParser) -> list[nodes.Expr]:
    """Read the expressions that are left."""
    values: list[nodes.Expr] = []
    while not tag.at_end:
        values.append(tag.read_expression())
    return values


def _read_pair(tag: ExpressionParser) -> tuple[str, nodes.Expr]:
    """Read ``name=value`` or the older ``value as name``."""
    value = tag.read_expression()
    if tag.take(TokenKind.KEYWORD, "as"):
        return tag.expect(TokenKind.NAME), value
    tag.expect(TokenKind.SYMBOL, "=")
    match value:
        case nodes.Filter(name="$variable", node=nodes.Const(value=str(name))):
            return name, tag.read_expression()
    raise tag.make_fault("{% with %} takes pairs like name=value")


def _read_bodies(template: TemplateParser, middle: str, end: str) -> tuple[Body, Body]:
    """Read the body before ``{% middle %}`` and the one after it, empty if there is none."""
    body, found, tag = template.read_until(middle, end)
    if found == middle:
        return body, template.read_block(tag, end)
    tag.expect_end()
    return body, []


def _make_if(tag: ExpressionParser, test: nodes.Expr, body: Body, otherwise: Body) -> nodes.Node:
    return nodes.If(test, body, [], otherwise, lineno=tag.line)


def _make_set(tag: ExpressionParser, name: str, value: nodes.Expr) -> nodes.Node:
    made = tag.make_operation("$set", value, tag.make_constant(name))
    return _make_statement(made, tag.line)


def _make_statement(value: nodes.Expr, line: int) -> nodes.Node:
    return nodes.ExprStmt(value, lineno=line)


def _make_filter_block(body: Body, made: nodes.Filter) -> nodes.Node:
    return nodes.FilterBlock(body, made, lineno=made.lineno)
