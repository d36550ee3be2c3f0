"""A document → a flow, or all problems of the document at once.

Owns the rules for a flow document and the words for what is wrong. Pure: must not know where
documents come from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flyte_host.embedded.codec import fold
from flyte_host.embedded.flow import CommandCall, EventMatch, Flow, FlowStep
from flyte_host.embedded.names import why_unaddressable

Path = tuple[str | int, ...]

REQUIRED = frozenset({"name", "steps", "event", "command", "packName"})
"""Keys that the Go server's schema requires, in exactly this case."""


class FlowInvalid(ValueError):
    """A document is not a flow; ``problems`` has (path, sentence) for each problem."""

    def __init__(
        self,
        problems: Sequence[tuple[Path, str]],
        *,
        source: str = "the flow",
        lines: Mapping[Path, int] | None = None,
    ) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(_sentence(p, source, lines or {}) for p in self.problems))


def _sentence(problem: tuple[Path, str], source: str, lines: Mapping[Path, int]) -> str:
    path, text = problem
    line = line_of(path, lines)
    where = source if line is None else f"{source}:{line}"
    return f"{where}: {dotted(path)} {text}"


def line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    """The line of ``path``, or of the closest enclosing part that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def dotted(path: Path) -> str:
    """A path for people: ``steps[0].event.name``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".") or "the document"


def read_flow(
    document: Any, *, source: str = "the flow", lines: Mapping[Path, int] | None = None
) -> Flow:
    """The flow in ``document``; raises :class:`FlowInvalid` with every problem."""
    reader = _FlowReader()
    flow = reader.flow(document)
    if not reader.problems and (reason := why_unaddressable(flow.name)):
        reader.problems.append((("name",), f"{reason}, so no URL could address the flow"))
    if reader.problems:
        raise FlowInvalid(reader.problems, source=source, lines=lines)
    return flow


def read_stored_flow(document: Any) -> Flow:
    """The flow in a document that :func:`flow_document` made, perhaps under older rules."""
    return _FlowReader().flow(document)


class _FlowReader:
    """Reads what it can and collects the problems.

    The rules are those of the Go server's schema, then of its decoding: required text cannot be
    null, optional text can; unknown keys are ignored; case matters only for keys that
    are required.
    """

    def __init__(self) -> None:
        self.problems: list[tuple[Path, str]] = []

    def flow(self, document: Any) -> Flow:
        fields = self._object((), document, ("name", "description", "steps"))
        if fields is None:
            return Flow("", "", ())
        steps = self._required((), fields, "steps", list, "a list")
        return Flow(
            name=self._required_text((), fields, "name"),
            description=self._schema_text((), fields, "description"),
            steps=tuple(self._step(("steps", n), step) for n, step in enumerate(steps or ())),
        )

    def _step(self, path: Path, document: Any) -> FlowStep:
        names = ("id", "dependsOn", "event", "context", "criteria", "command")
        fields = self._object(path, document, names)
        if fields is None:
            return FlowStep("", (), EventMatch("", ""), {}, "", CommandCall("", ""))
        if "context" in fields and fields["context"] is None:
            self._wrong((*path, "context"), None, "an object")
        return FlowStep(
            id=self._text((*path, "id"), fields.get("id")),
            depends_on=self._texts((*path, "dependsOn"), fields.get("dependsOn")),
            event=self._event((*path, "event"), fields),
            context=self._text_map((*path, "context"), fields.get("context")),
            criteria=self._schema_text(path, fields, "criteria"),
            command=self._command((*path, "command"), fields),
        )

    def _event(self, path: Path, step: Mapping[str, Any]) -> EventMatch:
        fields = self._part(path, step, ("name", "packName", "packLabels"))
        if fields is None:
            return EventMatch("", "")
        return EventMatch(
            name=self._required_text(path, fields, "name"),
            pack_name=self._required_text(path, fields, "packName"),
            pack_labels=self._text_map((*path, "packLabels"), fields.get("packLabels")),
        )

    def _command(self, path: Path, step: Mapping[str, Any]) -> CommandCall:
        fields = self._part(path, step, ("name", "packName", "packLabels", "input"))
        if fields is None:
            return CommandCall("", "")
        return CommandCall(
            name=self._required_text(path, fields, "name"),
            pack_name=self._required_text(path, fields, "packName"),
            pack_labels=self._text_map((*path, "packLabels"), fields.get("packLabels")),
            input=fields.get("input"),
        )

    def _part(
        self, path: Path, step: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Any] | None:
        if path[-1] in step:
            return self._object(path, step[str(path[-1])], names)
        self.problems.append((path, f"is missing, expected an object with {', '.join(names)}"))
        return None

    def _object(self, path: Path, value: Any, names: Sequence[str]) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self._wrong(path, value, f"an object with {', '.join(names)}")
            return None
        return fold(value, [name for name in names if name not in REQUIRED])

    def _required(
        self, path: Path, fields: Mapping[str, Any], key: str, kind: type, what: str
    ) -> Any:
        if key not in fields:
            self.problems.append(((*path, key), f"is missing, expected {what}"))
            return None
        if not isinstance(fields[key], kind):
            self._wrong((*path, key), fields[key], what)
            return None
        return fields[key]

    def _required_text(self, path: Path, fields: Mapping[str, Any], key: str) -> str:
        return self._one_line((*path, key), self._required(path, fields, key, str, "text") or "")

    def _schema_text(self, path: Path, fields: Mapping[str, Any], key: str) -> str:
        return self._required_text(path, fields, key) if key in fields else ""

    def _one_line(self, path: Path, text: str) -> str:
        if "\n" in text:
            self.problems.append((path, "has more than one line (write it as YAML's >- does)"))
        return text

    def _text(self, path: Path, value: Any) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        self._wrong(path, value, "text")
        return ""

    def _texts(self, path: Path, value: Any) -> tuple[str, ...]:
        if value is None or isinstance(value, list):
            return tuple(self._text((*path, n), item) for n, item in enumerate(value or ()))
        self._wrong(path, value, "a list of text")
        return ()

    def _text_map(self, path: Path, value: Any) -> dict[str, str]:
        if value is None or isinstance(value, dict):
            return {key: self._text((*path, key), item) for key, item in (value or {}).items()}
        self._wrong(path, value, "an object of text")
        return {}

    def _wrong(self, path: Path, value: Any, expected: str) -> None:
        shown = "null" if value is None else repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        self.problems.append((path, f"is {shown}, expected {expected}"))
