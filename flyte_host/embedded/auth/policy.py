"""Who may call what: a policy of paths, methods and claims.

Owns which rule decides on a request and whether a token's claims satisfy it. Pure: must not know
HTTP, tokens or where a policy comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
ALL_METHODS = frozenset(METHODS) - {"HEAD", "OPTIONS", "TRACE"}
"""What a rule without ``methods`` covers, as in the Go server."""

STATIC, PARAMETER, REST = 2, 1, 0


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Who may use ``methods`` on ``path``; without ``claims`` anybody, even without a token.

    One claim with one of its values is enough.
    """

    path: str
    methods: frozenset[str] = ALL_METHODS
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def segments(self) -> list[str]:
        return self.path.split("/")[1:]

    def closeness(self) -> tuple[int, ...]:
        """The rule with the greatest closeness decides: compared from left to right, literal
        text wins over ``:x``, and ``:x`` over ``*``.
        """
        return tuple(kind_of_segment(segment) for segment in self.segments)

    def parameters(self, path: Sequence[str]) -> dict[str, str] | None:
        """The values of ``:x``, or ``None`` if the rule does not cover these segments."""
        found: dict[str, str] = {}
        for number, segment in enumerate(self.segments):
            if number >= len(path):
                return None
            kind, value = kind_of_segment(segment), path[number]
            if kind == REST:
                return found
            if kind == PARAMETER and value:
                found[segment[1:]] = value
            elif segment != value:
                return None
        return found if len(path) == len(self.segments) else None


def kind_of_segment(segment: str) -> int:
    """STATIC, PARAMETER (``:x``, one segment that is not empty) or REST (``*``)."""
    return PARAMETER if segment.startswith(":") else REST if segment == "*" else STATIC


def is_ambiguous(segments: Sequence[str]) -> bool:
    """Whether a proxy or client might take these segments for a different path."""
    return "" in segments[:-1] or not {".", ".."}.isdisjoint(segments)


@dataclass(frozen=True, slots=True)
class PolicyMatch:
    """The rule that decides on a request, with the values of its ``:x``."""

    rule: PolicyRule
    parameters: Mapping[str, str]

    @property
    def is_public(self) -> bool:
        return not self.rule.claims

    def is_fulfilled(self, claims: Mapping[str, Any]) -> bool:
        """Whether ``claims`` satisfy the rule; texts, booleans, integers, lists of texts count."""
        return any(
            not _texts(claims.get(self._resolved(name))).isdisjoint(map(self._resolved, values))
            for name, values in self.rule.claims.items()
        )

    def _resolved(self, text: str) -> str:
        return self.parameters[text[1:]] if text.startswith(":") else text


def _texts(value: Any) -> frozenset[str]:
    match value:
        case bool():
            return frozenset({str(value).lower()})
        case str() | int():
            return frozenset({str(value)})
        case list() if all(isinstance(item, str) for item in value):
            return frozenset(value)
    return frozenset()


class Policy:
    """Rules; the closest one decides."""

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        self.rules = tuple(rules)

    def find(self, method: str, path: str) -> PolicyMatch | None:
        """The rule for a request; ``None`` refuses it.

        Only the closest path counts: a wider path with the right method does not help. No rule
        covers an ambiguous path.
        """
        segments = path.split("/")[1:]
        if is_ambiguous(segments):
            return None
        matches = [
            PolicyMatch(rule, parameters)
            for rule in self.rules
            if (parameters := rule.parameters(segments)) is not None
        ]
        closest = max((match.rule.closeness() for match in matches), default=())
        return next(
            (
                match
                for match in matches
                if match.rule.closeness() == closest and method in match.rule.methods
            ),
            None,
        )
