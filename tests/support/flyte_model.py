"""flyte's rules in a hundred lines, written from what the Go server does and not from our engine.

Owns what a test expects of packs, flows, events and actions. Knows no HTTP, no store, no templates:
:class:`Step` says what its templates will mean.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False"}
FINISHED = {"SUCCESS", "FATAL"}
OF_THE_EVENT = "of the event"


class Sender(NamedTuple):
    name: str
    labels: Mapping[str, str]

    @property
    def id(self) -> str:
        return ".".join([self.name, *(f"{k}.{v}" for k, v in sorted(self.labels.items()))])


class Said(NamedTuple):
    """An event or a result; the fields of its payload are what steps can look at."""

    number: int
    name: str
    sender: Sender
    env: str
    flag: str

    @property
    def document(self) -> dict[str, Any]:
        payload = {"n": str(self.number), "env": self.env, "flag": self.flag}
        return {"event": self.name, "payload": payload}


@dataclass(frozen=True)
class Step:
    """``env`` of event and command: none, a fixed one, or :data:`OF_THE_EVENT`."""

    id: str
    depends_on: tuple[str, ...]
    event: str
    event_pack: str
    event_env: str
    reads_item: bool
    asks_flag: bool
    command: str
    command_pack: str
    command_env: str

    def document(self, version: int, number: int) -> dict[str, Any]:
        shown = {"origin": "{{ Context.origin }}", "trail": "{{ Context.trail }}"}
        document: dict[str, Any] = {
            "id": self.id,
            "dependsOn": list(self.depends_on),
            "event": {
                "name": self.event,
                "packName": self.event_pack,
                "packLabels": _labels_document(self.event_env),
            },
            "context": {
                "origin": "{{ Context.origin|default:Event.Payload.n }}",
                "trail": f"{{{{ Context.trail }}}}/{number}:{{{{ Event.Payload.n }}}}",
            },
            "command": {
                "name": self.command,
                "packName": self.command_pack,
                "packLabels": _labels_document(self.command_env),
                "input": shown | {"version": version, "step": number, "item": "{{Context.item}}"},
            },
        }
        if self.reads_item:
            document["context"]["item"] = "{{ datastore('item') }}"
        return document | ({"criteria": "{{ Event.Payload.flag }}"} if self.asks_flag else {})


def _labels_document(env: str) -> dict[str, str]:
    return {"env": "{{ Event.Payload.env }}" if env == OF_THE_EVENT else env} if env else {}


def _labels(env: str, said: Said) -> dict[str, str]:
    return {"env": said.env if env == OF_THE_EVENT else env} if env else {}


class Key(NamedTuple):
    """No step runs twice in one execution, no event starts one version of a flow twice."""

    version: int
    origin: int
    step: int


@dataclass
class ModelAction:
    key: Key
    step: Step
    labels: Mapping[str, str]
    context: Mapping[str, str]
    trigger: int
    states: list[str] = field(default_factory=lambda: ["NEW"])

    @property
    def input(self) -> dict[str, Any]:
        shown = {"origin": str(self.key.origin), "item": ""} | dict(self.context)
        return shown | {"version": self.key.version, "step": self.key.step}

    def fits(self, sender: Sender) -> bool:
        return self.step.command_pack == sender.name and _subset(self.labels, sender.labels)


@dataclass
class Execution:
    version: int
    origin: int
    steps: tuple[Step, ...]
    actions: list[ModelAction] = field(default_factory=list)
    skipped: list[tuple[str, int]] = field(default_factory=list)


class Model:
    def __init__(self) -> None:
        self.packs: dict[str, Sender] = {}
        self.flows: dict[str, tuple[int, tuple[Step, ...]]] = {}
        self.items: dict[str, str] = {}
        self.executions: list[Execution] = []

    @property
    def actions(self) -> list[ModelAction]:
        return [action for execution in self.executions for action in execution.actions]

    def event(self, said: Said) -> None:
        """Every flow with a step for it that depends on nothing starts again."""
        for version, steps in self.flows.values():
            if any(_hears(step, said) and not step.depends_on for step in steps):
                execution = Execution(version, said.number, steps)
                self._go_on(execution, said, {})
                if execution.actions or execution.skipped:
                    self.executions.append(execution)

    def result(self, action: ModelAction, said: Said) -> None:
        """Also an event; and the execution continues, with the context of the finished action."""
        action.states.append("FATAL" if said.name == "FATAL" else "SUCCESS")
        self.event(said)
        [execution] = [it for it in self.executions if any(a is action for a in it.actions)]
        self._go_on(execution, said, action.context)

    def may_take(self, sender: Sender, command: str) -> list[ModelAction]:
        """The oldest waiting actions; those of one event may come in any order, steps in theirs."""
        waiting = [
            action
            for action in self.actions
            if action.states == ["NEW"]
            and action.fits(sender)
            and command in {"", action.step.command}
        ]
        oldest = [it for it in waiting if it.trigger == min(each.trigger for each in waiting)]
        return [it for it in oldest if not any(_before(other, it) for other in oldest)]

    def _go_on(self, execution: Execution, said: Said, parent: Mapping[str, str]) -> None:
        for number, step in list(_candidates(execution, said)):
            if step.reads_item and "item" not in self.items:
                execution.skipped.append((step.id, said.number))
                continue
            read = {"item": self.items["item"]} if step.reads_item else {}
            trail = f"{parent.get('trail', '')}/{number}:{said.number}"
            context = {**parent, "origin": str(execution.origin), "trail": trail, **read}
            if not _subset(_labels(step.event_env, said), said.sender.labels):
                continue
            if step.asks_flag and said.flag not in TRUE:
                execution.skipped += [] if said.flag in FALSE else [(step.id, said.number)]
                continue
            key = Key(execution.version, execution.origin, number)
            labels = _labels(step.command_env, said)
            execution.actions.append(ModelAction(key, step, labels, context, said.number))


def _candidates(execution: Execution, said: Said) -> Iterator[tuple[int, Step]]:
    started = {action.step.id for action in execution.actions}
    finished = {it.step.id for it in execution.actions if it.states[-1] in FINISHED}
    for number, step in enumerate(execution.steps):
        may_start = not step.depends_on or any(each in finished for each in step.depends_on)
        if _hears(step, said) and step.id not in started and may_start:
            yield number, step


def _hears(step: Step, said: Said) -> bool:
    return (step.event, step.event_pack) == (said.name, said.sender.name)


def _subset(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return set(wanted.items()) <= set(labels.items())


def _before(one: ModelAction, other: ModelAction) -> bool:
    return one.key[:2] == other.key[:2] and one.key.step < other.key.step
