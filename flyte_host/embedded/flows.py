"""The flow document: what a flow is and whether a document is one.

Owns the reading of documents into frozen dataclasses, with all problems of a document at once.
Pure: must not know where documents come from or go to, nor what running them means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flyte_host.embedded.codec import fold

Path = tuple[str | int, ...]


class FlowInvalid(ValueError):
    """A document is no flow; ``problems`` are (path, sentence), all of them."""

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
    """The line of ``path``, or of the nearest part around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def dotted(path: Path) -> str:
    """A path as people read it: ``steps[0].event.name``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".") or "the document"


@dataclass(frozen=True, slots=True)
class EventMatch:
    """Which event a step waits for; the labels are templates."""

    name: str
    pack_name: str
    pack_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandCall:
    """Which command a step asks for; the labels and the texts in ``input`` are templates."""

    name: str
    pack_name: str
    pack_labels: Mapping[str, str] = field(default_factory=dict)
    input: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    id: str
    depends_on: tuple[str, ...]
    event: EventMatch
    context: Mapping[str, str]
    criteria: str
    command: CommandCall


@dataclass(frozen=True, slots=True)
class Flow:
    name: str
    description: str
    steps: tuple[Step, ...]

    def triggers(self) -> frozenset[tuple[str, str]]:
        """(pack name, event name) of the events that start a new execution of this flow."""
        return frozenset(
            (step.event.pack_name, step.event.name) for step in self.steps if not step.depends_on
        )


def read_flow(
    document: Any, *, source: str = "the flow", lines: Mapping[Path, int] | None = None
) -> Flow:
    """The flow in ``document``; raises :class:`FlowInvalid` with every problem."""
    reader = _Reader()
    flow = reader.flow(document)
    if reader.problems:
        raise FlowInvalid(reader.problems, source=source, lines=lines)
    return flow


class _Reader:
    """Reads what can be read and remembers what cannot.

    The rules are those of the Go server's schema, then of its decoding: a required text cannot be
    null, an optional one can; keys that it does not know are ignored; case of keys does not matter.
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

    def _step(self, path: Path, document: Any) -> Step:
        names = ("id", "dependsOn", "event", "context", "criteria", "command")
        fields = self._object(path, document, names)
        if fields is None:
            return Step("", (), EventMatch("", ""), {}, "", CommandCall("", ""))
        if "context" in fields and fields["context"] is None:
            self._wrong((*path, "context"), None, "an object")
        return Step(
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
        return fold(value, names)

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


def flow_document(flow: Flow) -> dict[str, Any]:
    """``flow`` as the API shows it: what is empty is left out, but for ``input``."""
    return dict(_present(name=flow.name, description=flow.description or None)) | (
        {"steps": [step_document(step) for step in flow.steps]} if flow.steps else {}
    )


def step_document(step: Step) -> dict[str, Any]:
    return dict(
        _present(
            id=step.id or None,
            dependsOn=list(step.depends_on) or None,
            event=dict(
                _present(
                    name=step.event.name,
                    packName=step.event.pack_name,
                    packLabels=step.event.pack_labels or None,
                )
            ),
            context=step.context or None,
            criteria=step.criteria or None,
            command=dict(
                _present(
                    name=step.command.name,
                    packName=step.command.pack_name,
                    packLabels=step.command.pack_labels or None,
                )
            )
            | {"input": step.command.input},
        )
    )


def _present(**fields: Any) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in fields.items() if value is not None)
