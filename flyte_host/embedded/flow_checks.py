"""Finds what is wrong with a flow file, even if flyte would store the flow.

Owns the mistakes it looks for and their texts. Pure: must not know files, configuration or which
plugins are installed; callers pass the names that exist.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flyte_host.embedded.codec import BadDocument, fold
from flyte_host.embedded.criteria import parse_bool
from flyte_host.embedded.finding import Finding, Mistakes, is_silenced
from flyte_host.embedded.flow import CommandCall, Flow, FlowStep
from flyte_host.embedded.flow_reader import FlowInvalid, Path, dotted, line_of, read_flow
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.model import FATAL, Labels, fits
from flyte_host.embedded.pongo2 import TemplateFailed, Templates
from flyte_host.embedded.step_order import doubtful_in_graph, mistakes_in_graph
from flyte_host.embedded.template_checks import mistakes_in_criteria, mistakes_in_template
from flyte_host.embedded.yaml_codec import duplicate_keys, read_text, yaml_lines
from flyte_host.text import label_words, nearest

KEYS: Mapping[str, Sequence[str]] = {
    "flow": ("name", "description", "steps"),
    "step": ("id", "dependsOn", "event", "context", "criteria", "command"),
    "event": ("name", "packName", "packLabels"),
    "command": ("name", "packName", "packLabels", "input"),
}
MARKUP = re.compile(r"{[{%#]")


@dataclass(frozen=True, slots=True)
class PackNames:
    """The commands and events of a pack that exists.

    ``outputs`` has the events that commands may end with, where they are known. ``why_unfit`` says
    why a command cannot decode an input, or is empty. ``labels`` has the labels of each such pack.
    """

    commands: AbstractSet[str]
    events: AbstractSet[str]
    outputs: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    why_unfit: Callable[[str, Any], str] = lambda _command, _input: ""
    labels: Sequence[Labels] = ({},)


@dataclass(frozen=True, slots=True)
class CheckedFlow:
    """The flow of a file, if flyte could store it, and everything that was found."""

    flow: Flow | None
    findings: Sequence[Finding]


Packs = Mapping[str, PackNames]


def check_flow(text: str, *, source: str, packs: Packs | None = None) -> CheckedFlow:
    """The flow in ``text`` with all findings; names are looked up in ``packs`` by pack name."""
    try:
        document = read_text(text)
    except BadDocument as error:
        lines = re.findall(r"line (\d+)", str(error))
        line = int(lines[-1]) if lines else None
        words = f"cannot be read: {error}"
        return CheckedFlow(None, [Finding("F001", source, line, "the document", words)])
    lines_of = yaml_lines(text)

    def findings(found: Mistakes, *, are_warnings: bool = False) -> list[Finding]:
        return [
            Finding(code, source, line_of(path, lines_of), dotted(path), words, are_warnings)
            for code, path, words in found
        ]

    found = findings(_duplicates(text)) + findings(_unknown_keys(document), are_warnings=True)
    try:
        flow = read_flow(document)
    except FlowInvalid as error:
        refused = findings(("F002", path, words) for path, words in error.problems)
        return CheckedFlow(None, _sorted([*refused, *found], text))
    found += findings(_problems(flow))
    found += findings(_doubts(flow, packs or {}), are_warnings=True)
    if packs is not None:
        found += findings(_unknown_names(flow, packs), are_warnings=True)
    return CheckedFlow(flow, _sorted(found, text))


def _sorted(findings: Sequence[Finding], text: str) -> list[Finding]:
    lines = text.splitlines()
    kept = [each for each in findings if not is_silenced(each, lines)]
    return sorted(kept, key=lambda found: found.line or 0)


def _duplicates(text: str) -> Mistakes:
    for path, line in duplicate_keys(text):
        yield "F010", path, f"appears twice, first in line {line}; expected it once"


def _problems(flow: Flow) -> Mistakes:
    now = partial(datetime.now, UTC)
    templates = make_flow_templates(lambda _: None, now=now, rng=random.Random())  # noqa: S311
    yield from mistakes_in_graph(flow)
    for number, step in enumerate(flow.steps):
        yield from _problems_of_templates(("steps", number), step, templates)


def _doubts(flow: Flow, packs: Packs) -> Mistakes:
    def outputs(command: CommandCall) -> AbstractSet[str] | None:
        pack = packs.get(command.pack_name)
        return pack.outputs.get(command.name) if pack else None

    yield from doubtful_in_graph(flow, outputs)
    for number, step in enumerate(flow.steps):
        pack = packs.get(step.command.pack_name)
        why = pack.why_unfit(step.command.name, _as_sent(step.command.input)) if pack else ""
        # Text with a template may become any text, but never a number or an object.
        if why and (not _has_templates(step.command.input) or ", got str" in why):
            yield "F022", ("steps", number, "command", "input"), f"does not fit: {why}"


def _as_sent(value: Any) -> Any:
    """An input without the nulls that flyte leaves out of objects."""
    if isinstance(value, Mapping):
        return {key: _as_sent(item) for key, item in value.items() if item is not None}
    return [_as_sent(item) for item in value] if isinstance(value, list) else value


def _has_templates(value: Any) -> bool:
    return any(text and MARKUP.search(text) for _, text in _texts((), value))


def _problems_of_templates(at: Path, step: FlowStep, templates: Templates) -> Mistakes:
    for path, value in _texts(at, _with_templates(step)):
        if value is None:
            yield "F006", path, "is null in a list, which cannot be rendered; leave it out"
            continue
        try:
            templates.check(value)
        except TemplateFailed as error:
            yield "F005", path, f"{error}{_meant_filter(str(error), templates)}"
            continue
        told = list(mistakes_in_template(value, templates.functions))
        if path == (*at, "criteria"):
            told += _problems_of_criteria(value)
        yield from ((code, path, words) for code, words in told)


def _meant_filter(words: str, templates: Templates) -> str:
    unknown = re.search(r"there is no filter '(\w+)'$", words)
    return nearest(unknown[1], templates.filters) if unknown else ""


def _problems_of_criteria(criteria: str) -> Iterator[tuple[str, str]]:
    told = list(mistakes_in_criteria(criteria))
    yield from told
    try:
        if not told and not MARKUP.search(criteria):
            parse_bool(criteria)
    except ValueError as error:
        yield "F007", f"is always wrong: {error}"


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


def _unknown_keys(document: Any) -> Mistakes:
    """Keys that flyte ignores, most often ``labels`` for ``packLabels``."""
    flow = _folded(document, "flow")
    yield from _unknown((), flow, "flow")
    steps = flow.get("steps")
    for number, item in enumerate(steps if isinstance(steps, list) else ()):
        step = _folded(item, "step")
        yield from _unknown(("steps", number), step, "step")
        for part in ("event", "command"):
            yield from _unknown(("steps", number, part), _folded(step.get(part), part), part)


def _folded(value: Any, kind: str) -> Mapping[str, Any]:
    return fold(value, KEYS[kind]) if isinstance(value, Mapping) else {}


def _unknown(path: Path, fields: Mapping[str, Any], kind: str) -> Mistakes:
    for key in fields:
        if key not in KEYS[kind]:
            meant = nearest(key, KEYS[kind])
            yield "F003", (*path, key), f"is not a key of a {kind}, flyte ignores it{meant}"


def _unknown_names(flow: Flow, packs: Packs) -> Mistakes:
    for number, step in enumerate(flow.steps):
        event: Path = ("steps", number, "event")
        if unknown := _unknown_pack(step.event.pack_name, packs):
            yield "F008", (*event, "packName"), unknown
        elif step.event.name != FATAL:
            pack = packs[step.event.pack_name]
            yield from _unknown_name((*event, "name"), step.event, "event", pack.events)
            yield from _unknown_labels((*event, "packLabels"), step.event, pack.labels)
        command: Path = ("steps", number, "command")
        if unknown := _unknown_pack(step.command.pack_name, packs):
            yield "F008", (*command, "packName"), unknown
        else:
            pack = packs[step.command.pack_name]
            yield from _unknown_name((*command, "name"), step.command, "command", pack.commands)
            yield from _unknown_labels((*command, "packLabels"), step.command, pack.labels)


def _unknown_pack(name: str, packs: Packs) -> str:
    if name in packs:
        return ""
    return f"is {name!r}, a pack that no plugin loaded here has{nearest(name, packs)}"


def _unknown_name(path: Path, named: Any, kind: str, known: AbstractSet[str]) -> Mistakes:
    if named.name not in known:
        where = f"not among the {kind}s of the pack {named.pack_name!r}"
        yield "F009", path, f"is {named.name!r}, which is {where}{nearest(named.name, known)}"


def _unknown_labels(path: Path, named: Any, known: Sequence[Labels]) -> Mistakes:
    wanted = named.pack_labels
    if any(_has_templates(value) for value in wanted.values()):
        return
    if not any(fits(wanted, labels) for labels in known):
        has = " or ".join(label_words(labels) for labels in known)
        words = f"are {label_words(wanted)}; the pack {named.pack_name!r} has {has}"
        yield "F024", path, words
