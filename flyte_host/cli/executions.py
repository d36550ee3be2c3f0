"""``flyte-host executions``: what flyte made of events, and why a step did not run.

Owns options and output. Must not know how flyte is asked or the reasons (``explanation``).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import Any

import click
import msgspec

from flyte_host.cli.common import echo, echo_json
from flyte_host.cli.completion import complete_flyte_pack
from flyte_host.cli.event_outcome import RECENT, explain_execution, explained_lines, last_outcome
from flyte_host.cli.flyte_session import flyte_options, flyte_session
from flyte_host.cli.id_ends import find_by_end
from flyte_host.cli.moments import short_moment, time_of_day
from flyte_host.cli.sightings import Sightings, changed_since, result_words
from flyte_host.cli.table import print_table
from flyte_host.client.operator_client import OperatorClient
from flyte_host.errors import FlyteHostError, FlyteUnknown
from flyte_host.records.execution_record import STATES, ActionRecord, ExecutionRecord
from flyte_host.records.explanation import seconds_between
from flyte_host.records.missed_record import MissedRecord
from flyte_host.text import duration

HEADS = ("EXECUTION", "FLOW", "STATE", "BEGAN", "TOOK", "STEPS", "ON")
STEP_HEADS = ("STEP", "COMMAND", "STATE", "QUEUED", "TOOK", "RESULT")
MISSED_HEADS = ("TIME", "FLOW", "STEP", "EVENT", "WHY")
LOOK_SECONDS = 1.0
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead.")


class _Ago(click.ParamType[datetime]):
    """The time that was ``90s``, ``10min``, ``2h`` or ``7d`` ago."""

    name = "DURATION"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        number, unit = value.rstrip("smindh"), value.lstrip("0123456789")
        if not number.isascii() or not number.isdigit() or unit not in UNITS or len(number) > 6:
            self.fail(f"found {value!r}, expected a number with {', '.join(UNITS)}, such as 10min")
        return datetime.now(UTC) - timedelta(seconds=int(number) * UNITS[unit])


@click.group()
def executions() -> None:
    """List and explain what flyte has made of events.

    Asks the flyte of the configuration, embedded or not; a host need not run here.
    """


@executions.command("list")
@flyte_options
@click.option("--flow", default="", help="Only executions of this flow.")
@click.option("--pack", default="", shell_complete=complete_flyte_pack,
              help="Only those with an action for this pack.")  # fmt: skip
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="In this state.")
@click.option("--text", default="", help="Only those that have this text anywhere.")
@click.option("--since", type=_Ago(), help="Changed within this time, such as 10min, 2h or 7d.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@_as_json
def list_command(
    *, flow: str, pack: str, states: tuple[str, ...], text: str,
    since: datetime | None, limit: int, as_json: bool, **session: Any,
) -> None:  # fmt: skip
    """List executions, most recently changed first."""
    with flyte_session(**session) as client:
        found = client.executions(_query(flow, pack))
        if since is not None:
            found = changed_since(found, since)
        wanted = (each for each in found if _fits(each, states, text))
        rows = list(islice(wanted, limit))
    if as_json:
        _print_json({"executions": [_summary(each) for each in rows]})
    elif rows:
        now = datetime.now(UTC)
        print_table(HEADS, [_cells(each, now) for each in rows], wrapped=("FLOW", "ON"))
    else:
        echo("no execution")


@executions.command()
@flyte_options
@click.argument("execution")
@_as_json
def show(*, execution: str, as_json: bool, **session: Any) -> None:
    """Show an execution with its steps.

    EXECUTION is its id, or the end of that or of an action's id, as log lines show it.
    """
    with flyte_session(**session) as client:
        found = _find(client, execution)
    if as_json:
        _print_json(_summary(found) | {"actions": found.all_actions(), "skipped": found.skipped})
        return
    trigger = found.trigger()
    echo(f"execution {found.correlation_id} of flow {found.name}: {found.state}")
    echo(f"on {trigger.title} of {trigger.pack.id}, payload {_json(trigger.payload)}")
    if rows := [_step_cells(each) for each in found.all_actions()]:
        print_table(STEP_HEADS, rows, wrapped=("STEP", "COMMAND", "RESULT"))
    for each in found.skipped or ():
        echo(f"skipped {each.step_id}: {each.reason}")


@executions.command()
@flyte_options
@click.argument("wanted", metavar="EXECUTION|EVENT")
@_as_json
def why(*, wanted: str, as_json: bool, **session: Any) -> None:
    """Say for each step why it ran or did not.

    EXECUTION is its id, or the end of that or of an action's id, as log lines show it. EVENT is
    the title of an event, such as Jira.IssueCreated: the answer is about the last one.
    """
    if "." in wanted:
        _why_of_event(wanted, as_json=as_json, session=session)
        return
    with flyte_session(**session) as client:
        found = _find(client, wanted)
        steps = explain_execution(client, found.correlation_id)
    if as_json:
        _print_json(_summary(found) | {"steps": steps})
        return
    for line in explained_lines(found, steps):
        echo(line)


def _why_of_event(title: str, *, as_json: bool, session: Mapping[str, Any]) -> None:
    with flyte_session(**session) as client:
        outcome = last_outcome(client, title)
    if as_json:
        started = [_summary(each) | {"steps": steps} for each, steps in outcome.executions]
        told = {"declined": outcome.declined, "silence": outcome.silence}
        _print_json({"event": outcome.event, "executions": started, **told})
        return
    for line in outcome.lines():
        echo(line)


@executions.command()
@flyte_options
@click.option("--flow", default="", help="Only steps of this flow.")
@_as_json
def missed(*, flow: str, as_json: bool, **session: Any) -> None:
    """List steps that did not run, and events that no flow waits for.

    Embedded flyte tells the last 50 of each flow and the last 200 events since its start; a Go
    flyte tells none.
    """
    with flyte_session(**session) as client:
        found = client.missed(flow)
        if found is None:
            raise FlyteHostError("this flyte does not say which steps did not run")
    if as_json:
        _print_json(found)
        return
    rows = [cells for _, cells in sorted(_rows(found, flow), key=itemgetter(0), reverse=True)]
    if rows:
        print_table(MISSED_HEADS, rows, wrapped=("FLOW", "STEP", "EVENT", "WHY"))
    else:
        echo("nothing was missed")


@executions.command()
@flyte_options
@click.option("--flow", default="", help="Only executions of this flow.")
@click.option("--pack", default="", shell_complete=complete_flyte_pack,
              help="Only those with an action for this pack.")  # fmt: skip
def watch(*, flow: str, pack: str, **session: Any) -> None:
    """Print what changes in executions, as it happens, until Ctrl-C."""
    pause = threading.Event()
    with flyte_session(**session) as client:
        seen = Sightings(datetime.now(UTC))
        echo("watching, until Ctrl-C", err=True)
        while True:
            changed = changed_since(client.executions(_query(flow, pack)), seen.since)
            for line in seen.news(list(changed)):
                echo(line)
            pause.wait(LOOK_SECONDS)


def _query(flow: str, pack: str) -> dict[str, str]:
    wanted = {"flowName": flow, "actionPackName": pack}
    return {key: value for key, value in wanted.items() if value}


def _fits(execution: ExecutionRecord, states: Sequence[str], text: str) -> bool:
    if states and execution.state not in states:
        return False
    return not text or text.casefold() in _json(execution).casefold()


def _find(client: OperatorClient, name: str) -> ExecutionRecord:
    """The execution with this id; or a recent one whose id or an action's ends like that."""
    try:
        return client.execution(name)
    except FlyteUnknown:
        return client.execution(find_by_end(name, islice(client.executions({}), RECENT)))


def _summary(execution: ExecutionRecord) -> dict[str, Any]:
    return {
        "id": execution.correlation_id,
        "flow": execution.name,
        "state": execution.state,
        "began": execution.began,
        "changed": execution.changed,
        "trigger": execution.trigger(),
    }


def _cells(execution: ExecutionRecord, now: datetime) -> tuple[str, ...]:
    actions = execution.all_actions()
    done = sum(action.is_finished for action in actions)
    began, changed = execution.began, execution.changed
    took = seconds_between(began, changed) if began and changed else 0.0
    return (
        execution.correlation_id,
        execution.name,
        execution.state,
        short_moment(began, now) if began else "-",
        duration(took),
        f"{done} of {len(execution.steps or actions)}",
        execution.trigger().title,
    )


def _step_cells(action: ActionRecord) -> tuple[str, ...]:
    return (
        action.step_id or "-",
        f"{action.pack_name}.{action.name}",
        action.state.value,
        time_of_day(action.queued),
        duration(seconds_between(action.queued, action.state.time)),
        result_words(action) if action.is_finished else "-",
    )


def _rows(missed: MissedRecord, flow: str) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """When each was missed, and its cells."""
    for each in missed.decisions or ():
        step, title = each.step_id or "-", each.event.title
        yield each.time, (time_of_day(each.time), each.flow, step, title, each.reason)
    for heard in () if flow else missed.unheard or ():
        why = f"no flow waits for it{heard.nearest}"
        yield heard.time, (time_of_day(heard.time), "-", "-", heard.event.title, why)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _print_json(document: Any) -> None:
    echo_json(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
