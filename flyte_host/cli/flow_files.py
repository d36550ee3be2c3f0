"""Files of flows, events and results → checks and trials of flows.

Owns how these files are read and how an outcome is shown. Needs the extra ``embedded``. Must not
know commands or their options.
"""

import json
import mimetypes
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flyte_host.cli.inputs import without_mark
from flyte_host.clock import utc_now
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.finding import Finding
from flyte_host.embedded.flow import Flow, flow_document
from flyte_host.embedded.flow_checks import CheckedFlow, PackNames, check_flow
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.flow_trial import (
    FlowTrial,
    NoSuchAction,
    StepVerdict,
    TrialReport,
    document,
    read_trial_event,
    sender_of,
)
from flyte_host.errors import ConfigError
from flyte_host.given_file import read_file
from flyte_host.isolation.isolated_handler import IsolatedHandler
from flyte_host.packs import ServedPack, ServedPacks
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch
from flyte_host.records.schema_mismatch import mismatch
from flyte_host.text import reason

__all__ = ["check_files", "document", "lines", "names", "read_document", "try_flow"]


def check_files(paths: Sequence[Path], packs: Mapping[str, PackNames]) -> list[Finding]:
    """Everything that is found in flow files, unreadable ones included."""
    findings: list[Finding] = []
    files_of: dict[str, Path] = {}
    for path in paths:
        checked = _check(path, packs)
        findings += checked.findings
        if checked.flow is None:
            continue
        first = files_of.setdefault(checked.flow.name, path)
        if first != path:
            words = f"is {checked.flow.name!r}, as in {first}; expected another name"
            findings.append(Finding("F023", str(path), None, "name", words))
    return findings


def _check(path: Path, packs: Mapping[str, PackNames]) -> CheckedFlow:
    try:
        text = read_file(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = f"cannot be read: {reason(error)}"
        return CheckedFlow(None, [Finding("F001", str(path), None, "the file", words)])
    return check_flow(text, source=str(path), packs=packs)


def names(served: ServedPacks) -> dict[str, PackNames]:
    """Commands and events of the packs that a host would serve, by their name in flyte."""
    by_name: dict[str, list[ServedPack]] = {}
    for pack in served.packs.values():
        by_name.setdefault(pack.definition.name, []).append(pack)
    return {name: _names(packs) for name, packs in by_name.items()}


def _names(packs: Sequence[ServedPack]) -> PackNames:
    commands: dict[str, list[BoundCommand]] = {}
    for name, bound in (item for pack in packs for item in pack.commands.items()):
        commands.setdefault(name, []).append(bound)

    def why_unfit(command: str, value: Any) -> str:
        whys = [_why_unfit(each, value) for each in commands.get(command, ())]
        return whys[0] if whys and all(whys) else ""

    outputs = {
        name: frozenset(event.name for each in bound for event in each.command.output_events)
        for name, bound in commands.items()
    }
    events = frozenset().union(*(pack.event_names for pack in packs))
    labels = [pack.definition.labels for pack in packs]
    return PackNames(frozenset(commands), events, outputs, why_unfit, labels)


def _why_unfit(bound: BoundCommand, value: Any) -> str:
    handler: object = bound.command.handler
    if isinstance(handler, IsolatedHandler):  # its input is decoded there
        return mismatch(bound.input_schema, value)
    try:
        bound.decode(json.dumps(value).encode())
    except InputMismatch as error:
        return str(error)
    return ""


def try_flow(
    flow: Path, event: Path, results: Sequence[tuple[str, Path]], items: Mapping[str, Path]
) -> Iterator[TrialReport]:
    """What ``event`` means for the flow, then what each of ``results`` (by step) means.

    ``items`` is the datastore. Raises ConfigError for files that cannot be used.
    """
    trial = _trial(flow, items)
    with _as_config_error(event):
        said = read_trial_event(without_mark(read_file(event)), is_result=False)
        yield trial.event(said.event(sender_of(said.pack, said.labels), utc_now()))
    for step, path in results:
        with _as_config_error(path):
            said = read_trial_event(without_mark(read_file(path)), is_result=True)
            yield from trial.result(step, said.event(trial.sender(step, said.labels), utc_now()))


def read_document(path: Path) -> tuple[str, bytes]:
    """The name of the flow in a file, and the flow in JSON; raises ConfigError."""
    flow = _read_flow(path)
    return flow.name, json.dumps(flow_document(flow), ensure_ascii=False).encode()


def _read_flow(path: Path) -> Flow:
    with _as_config_error(path):
        checked = check_flow(read_file(path).decode("utf-8-sig"), source=str(path))
    if checked.flow is None:
        raise ConfigError([str(finding) for finding in checked.findings])
    return checked.flow


def _trial(path: Path, items: Mapping[str, Path]) -> FlowTrial:
    flow = _read_flow(path)
    datastore = {key: _item(item) for key, item in items.items()}
    templates = make_flow_templates(datastore.get, now=utc_now, rng=random.Random())  # noqa: S311
    return FlowTrial(flow, templates)


def _item(path: Path) -> tuple[str, bytes]:
    content_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    with _as_config_error(path):
        return content_type, read_file(path)


@contextmanager
def _as_config_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
    except (BadDocument, NoSuchAction) as error:
        raise ConfigError([f"{path}: {error}"]) from None


def lines(report: TrialReport) -> Iterator[str]:
    """``report`` for people."""
    how = "a new execution" if report.is_new else "continues"
    which = f"execution {report.execution}, {how}" if report.execution else "no execution"
    yield f"{report.event.pack.id}: {report.event.name} → {which}"
    for verdict in report.verdicts:
        yield from _step_lines(verdict)


def _step_lines(verdict: StepVerdict) -> Iterator[str]:
    if verdict.action is None:
        yield f"  step {verdict.name}: does not fire: {verdict.reason}"
    else:
        yield f"  step {verdict.name}: fires"
    if verdict.context:
        yield f"    context: {_json(verdict.context)}"
    if verdict.action is not None:
        yield f"    command: {verdict.action.name} of pack {verdict.action.pack_name}"
        if verdict.action.pack_labels:
            yield f"    packLabels: {_json(verdict.action.pack_labels)}"
        yield f"    input: {_json(verdict.action.input)}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
