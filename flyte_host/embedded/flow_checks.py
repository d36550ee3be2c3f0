"""What is wrong with a flow file, also where flyte would store the flow.

Owns the mistakes it looks for and their words. Pure: must not know files, configuration or which
plugins are installed; it is told the names that exist.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flyte_host.embedded.codec import BadDocument, fold
from flyte_host.embedded.criteria import parse_bool
from flyte_host.embedded.flow import Flow, FlowStep
from flyte_host.embedded.flow_reader import FlowInvalid, Path, dotted, line_of, read_flow
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.model import FATAL
from flyte_host.embedded.pongo2 import TemplateFailed, Templates
from flyte_host.embedded.yaml_codec import read_text, yaml_lines
from flyte_host.text import nearest

KEYS: Mapping[str, Sequence[str]] = {
    "flow": ("name", "description", "steps"),
    "step": ("id", "dependsOn", "event", "context", "criteria", "command"),
    "event": ("name", "packName", "packLabels"),
    "command": ("name", "packName", "packLabels", "input"),
}
MARKUP = re.compile(r"{[{%#]")


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake at one place of a flow file; a warning if flyte could still run the flow."""

    source: str
    line: int | None
    path: str
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {'warning: ' if self.is_warning else ''}{self.path} {self.text}"


@dataclass(frozen=True, slots=True)
class PackNames:
    """The commands and events of a pack that exists."""

    commands: AbstractSet[str]
    events: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class CheckedFlow:
    """The flow of a file, if flyte could store it, and everything that was found."""

    flow: Flow | None
    findings: Sequence[Finding]


Found = Iterator[tuple[Path, str]]


def check_flow(
    text: str, *, source: str, packs: Mapping[str, PackNames] | None = None
) -> CheckedFlow:
    """The flow in ``text`` with all findings; names are looked up in ``packs`` by pack name."""
    try:
        document = read_text(text)
    except BadDocument as error:
        lines = re.findall(r"line (\d+)", str(error))
        line = int(lines[-1]) if lines else None
        return CheckedFlow(None, [Finding(source, line, "the document", str(error))])
    lines_of = yaml_lines(text)

    def findings(found: Found, *, are_warnings: bool = False) -> list[Finding]:
        return [
            Finding(source, line_of(path, lines_of), dotted(path), words, are_warnings)
            for path, words in found
        ]

    try:
        flow = read_flow(document)
    except FlowInvalid as error:
        return CheckedFlow(None, findings(iter(error.problems)))
    problems = findings(_problems(flow))
    warnings = findings(_unknown_keys(document), are_warnings=True)
    if packs is not None:
        warnings += findings(_unknown_names(flow, packs), are_warnings=True)
    return CheckedFlow(flow, sorted([*problems, *warnings], key=lambda found: found.line or 0))


def _problems(flow: Flow) -> Found:
    now = partial(datetime.now, UTC)
    templates = make_flow_templates(lambda _: None, now=now, rng=random.Random())  # noqa: S311
    ids = {step.id for step in flow.steps}
    for number, step in enumerate(flow.steps):
        at: Path = ("steps", number)
        for place, name in enumerate(step.depends_on):
            if name not in ids:
                meant = nearest(name, ids)
                yield (*at, "dependsOn", place), f"is {name!r}, but no step has this id{meant}"
        yield from _problems_of_templates(at, step, templates)


def _problems_of_templates(at: Path, step: FlowStep, templates: Templates) -> Found:
    for path, value in _texts(at, _with_templates(step)):
        if value is None:
            yield path, "is null in a list, which cannot be rendered; leave it out"
            continue
        try:
            templates.check(value)
            if path[-1] == "criteria" and not MARKUP.search(value):
                parse_bool(value)
        except TemplateFailed as error:
            yield path, str(error)
        except ValueError as error:
            yield path, f"is always wrong: {error}"


def _with_templates(step: FlowStep) -> dict[str, Any]:
    return {
        "event": {"packLabels": step.event.pack_labels},
        "context": step.context,
        **({"criteria": step.criteria} if step.criteria else {}),
        "command": {"packLabels": step.command.pack_labels, "input": step.command.input},
    }


def _texts(path: Path, value: Any) -> Iterator[tuple[Path, str | None]]:
    """All text in ``value``, and every null in a list."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts((*path, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if item is None:
                yield (*path, number), None
            yield from _texts((*path, number), item)


def _unknown_keys(document: Any) -> Found:
    """Keys that flyte ignores, most often ``labels`` for ``packLabels``."""
    flow = fold(document, KEYS["flow"])
    yield from _unknown((), flow, "flow")
    for number, item in enumerate(flow["steps"]):
        step = fold(item, KEYS["step"])
        yield from _unknown(("steps", number), step, "step")
        for part in ("event", "command"):
            yield from _unknown(("steps", number, part), fold(step[part], KEYS[part]), part)


def _unknown(path: Path, fields: Mapping[str, Any], kind: str) -> Found:
    for key in fields:
        if key not in KEYS[kind]:
            meant = nearest(key, KEYS[kind])
            yield (*path, key), f"is not a key of a {kind}, flyte ignores it{meant}"


def _unknown_names(flow: Flow, packs: Mapping[str, PackNames]) -> Found:
    for number, step in enumerate(flow.steps):
        event: Path = ("steps", number, "event")
        if unknown := _unknown_pack(step.event.pack_name, packs):
            yield (*event, "packName"), unknown
        elif step.event.name != FATAL:
            known = packs[step.event.pack_name].events
            yield from _unknown_name((*event, "name"), step.event, "event", known)
        command: Path = ("steps", number, "command")
        if unknown := _unknown_pack(step.command.pack_name, packs):
            yield (*command, "packName"), unknown
        else:
            known = packs[step.command.pack_name].commands
            yield from _unknown_name((*command, "name"), step.command, "command", known)


def _unknown_pack(name: str, packs: Mapping[str, PackNames]) -> str:
    if name in packs:
        return ""
    return f"is {name!r}, a pack that is not among the installed packs{nearest(name, packs)}"


def _unknown_name(path: Path, named: Any, kind: str, known: AbstractSet[str]) -> Found:
    if named.name not in known:
        where = f"not among the {kind}s of the installed pack {named.pack_name!r}"
        yield path, f"is {named.name!r}, which is {where}{nearest(named.name, known)}"
