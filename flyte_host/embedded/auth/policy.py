"""Who may call what: flyte's policy of paths, methods and claims.

Owns which rule decides about a request and whether a token's claims will do. Pure: must not know
HTTP, tokens or where a policy comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
ALL_METHODS = frozenset(METHODS) - {"HEAD", "OPTIONS", "TRACE"}
"""What a rule without ``methods`` is about, as in the Go server."""

STATIC, PARAMETER, REST = 2, 1, 0


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do ``methods`` on ``path``; without ``claims`` everybody, token or not.

    One claim with one of its values is enough.
    """

    path: str
    methods: frozenset[str] = ALL_METHODS
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def segments(self) -> list[str]:
        return self.path.split("/")[1:]

    def closeness(self) -> tuple[int, ...]:
        """Of two rules for a path, the one where this is greater decides: left to right, what is
        written out comes before ``:x``, and that before ``*``.
        """
        return tuple(kind_of_segment(segment) for segment in self.segments)

    def parameters(self, path: Sequence[str]) -> dict[str, str] | None:
        """The values of ``:x`` if the rule is about the path of these segments."""
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
    """Whether somebody else may read a path of these segments as another one."""
    return "" in segments[:-1] or not {".", ".."}.isdisjoint(segments)


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that decides about a request, with the values of its ``:x``."""

    rule: Rule
    parameters: Mapping[str, str]

    @property
    def is_public(self) -> bool:
        return not self.rule.claims

    def fulfilled(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with ``claims`` will do: texts, booleans, integers, lists of texts."""
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
    """Rules, of which the closest one decides."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)

    def find(self, method: str, path: str) -> Match | None:
        """The rule for a request, or ``None``, which refuses it.

        The closest path decides alone: if no rule has it with this method, no wider path helps.
        An ambiguous path fits no rule.
        """
        segments = path.split("/")[1:]
        if is_ambiguous(segments):
            return None
        matches = [
            Match(rule, parameters)
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
