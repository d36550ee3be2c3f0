"""The YAML of a policy → its rules, or all its problems at once.

Owns the texts for mistakes, with their lines. Must not know what rules are for.
"""

from collections.abc import Iterator, Mapping, Sequence

import yaml

from flyte_host.embedded.auth.policy import (
    ALL_METHODS,
    METHODS,
    PARAMETER,
    Policy,
    PolicyRule,
    is_ambiguous,
    kind_of_segment,
)
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.yaml_codec import read_yaml
from flyte_host.text import nearest, quoted

KEYS = ("path", "methods", "claims")


class PolicyInvalid(ValueError):
    """The text is not a policy; ``problems`` has a sentence with source and line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def read_policy(text: str, *, source: str) -> Policy:
    """The policy in ``text``; raises :class:`PolicyInvalid`, which names ``source`` and lines."""
    try:
        read_yaml(text)
    except BadDocument as error:
        raise PolicyInvalid([f"{source}: {error}"]) from None
    reader = _PolicyReader(source)
    rules = list(reader.rules(yaml.compose(text, Loader=yaml.CSafeLoader)))
    if reader.problems:
        raise PolicyInvalid(reader.problems)
    return Policy(rules)


class _PolicyReader:
    """Reads YAML nodes, which know their line and keep scalars as written."""

    def __init__(self, source: str) -> None:
        self.problems: list[str] = []
        self._source = source
        self._first: dict[tuple[tuple[str, ...], str], yaml.Node] = {}

    def rules(self, node: yaml.Node | None) -> Iterator[PolicyRule]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._problem(node, "expected a list of rules: - path: /v1/…")
            return
        for item in node.value:
            fields = self._mapping(item, "expected a rule with path, methods and claims")
            if fields:
                yield self._rule(item, fields)

    def _rule(self, node: yaml.Node, fields: Mapping[str, yaml.Node]) -> PolicyRule:
        for name, value in fields.items():
            if name not in KEYS:
                meant = nearest(name, KEYS) or f"; the keys here are {', '.join(KEYS)}"
                self._problem(value, f"unknown key {quoted(name)}{meant}")
        rule = PolicyRule(self._path(node, fields), self._methods(fields), self._claims(fields))
        if rule.path.startswith("/"):
            self._refuse_second(rule, node)
        self._refuse_unknown_parameters(rule, node)
        return rule

    def _path(self, rule: yaml.Node, fields: Mapping[str, yaml.Node]) -> str:
        node = fields.get("path")
        if node is None:
            self._problem(rule, "found a rule without path, expected path: /v1/…")
            return ""
        path = self._text(node, "expected a path: /v1/…")
        if path and (wrong := _wrong_in_path(path)):
            self._problem(node, f"path {quoted(path)} {wrong}")
        return path

    def _methods(self, fields: Mapping[str, yaml.Node]) -> frozenset[str]:
        node = fields.get("methods")
        if node is None or _is_null(node):
            return ALL_METHODS
        methods = self._texts(node, "methods", "leave methods out to mean all of them")
        for method in methods:
            if method and method not in METHODS:
                meant = nearest(method, METHODS) or f", expected one of {', '.join(METHODS)}"
                self._problem(node, f"{quoted(method)} is not a method{meant}")
        return frozenset(methods)

    def _claims(self, fields: Mapping[str, yaml.Node]) -> dict[str, tuple[str, ...]]:
        node = fields.get("claims")
        if node is None or _is_null(node):
            return {}
        named = self._mapping(node, "expected claims with a list of values each")
        return {
            name: self._texts(values, f"claim {quoted(name)}", "nobody could fulfil it")
            for name, values in named.items()
        }

    def _texts(self, node: yaml.Node, what: str, why_not_empty: str) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._problem(node, f"{what}: expected a list: […]")
            return ()
        if not node.value:
            self._problem(node, f"{what}: found an empty list: {why_not_empty}")
        return tuple(self._text(item, f"{what}: expected texts in its list") for item in node.value)

    def _text(self, node: yaml.Node, otherwise: str) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value and not _is_null(node):
            return str(node.value)
        self._problem(node, otherwise)
        return ""

    def _mapping(self, node: yaml.Node, otherwise: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, otherwise)
            return {}
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key, "expected a name")
            if name in fields:
                self._problem(key, f"found {quoted(name)} twice, expected it once")
            fields[name] = value
        return fields

    def _refuse_second(self, rule: PolicyRule, node: yaml.Node) -> None:
        shape = tuple(":" if _is_parameter(part) else part for part in rule.segments)
        for method in sorted(rule.methods):
            first = self._first.setdefault((shape, method), node)
            if first is not node:
                self._problem(
                    node,
                    f"found a second rule for {method} {rule.path}, the first is on line "
                    f"{_line(first)}; expected one with all its claims",
                )
                return

    def _refuse_unknown_parameters(self, rule: PolicyRule, node: yaml.Node) -> None:
        used = {text for name, values in rule.claims.items() for text in (name, *values)}
        unknown = {text for text in used if text.startswith(":")} - {*rule.segments}
        for text in sorted(unknown):
            self._problem(node, f"found {text} in claims, but the path {rule.path} has no {text}")

    def _problem(self, node: yaml.Node | None, text: str) -> None:
        where = f"{self._source}:{_line(node)}" if node else self._source
        self.problems.append(f"{where}: {text}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _is_parameter(segment: str) -> bool:
    return kind_of_segment(segment) == PARAMETER


def _wrong_in_path(path: str) -> str:
    first, *segments = path.split("/")
    names = [part for part in segments if _is_parameter(part)]
    if first:
        return "does not begin with /"
    if "*" in segments[:-1]:
        return "has a * before its end, and flyte ignores what follows; expected it at the end"
    if any(":" in part[1:] or ("*" in part and part != "*") for part in segments):
        return "has a : or * inside a segment, expected a segment of its own, :name or *"
    if ":" in names or len(names) != len(set(names)):
        return "has a : without a name or a name twice"
    if is_ambiguous(segments):
        return "has an empty segment, . or .., and requests with one are always refused"
    return ""
