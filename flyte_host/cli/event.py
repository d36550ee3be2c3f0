"""``flyte-host event``: raise an event by hand, and see what it leads to.

Owns options and output, and how long to wait. Must not know how flyte is asked.
"""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from flyte_host.cli.common import echo
from flyte_host.cli.completion import complete_flyte_pack
from flyte_host.cli.event_outcome import (
    declined_line,
    declined_on,
    explain_execution,
    step_line,
    why_nothing_came,
)
from flyte_host.cli.flyte_session import flyte_options, flyte_session
from flyte_host.cli.inputs import read_json_argument
from flyte_host.cli.sightings import LongWaits, Sightings, changed_since, waiting_line
from flyte_host.client.operator_client import OperatorClient
from flyte_host.errors import FlyteHostError
from flyte_host.model import EventDef, PackDef, pack_id
from flyte_host.records.execution_record import FATAL, RUNNING, EventRecord, ExecutionRecord
from flyte_host.records.explanation import DID_NOT_RUN, SKIPPED_STEP
from flyte_host.text import nearest

LOOK_SECONDS = 0.3
SILENCE_SECONDS = 2.0
"""How long flyte may take to start a flow; embedded flyte has done so when it answers."""


@dataclass(frozen=True, slots=True)
class RaisedEvent:
    """An event to look for among the triggers of executions."""

    name: str
    sender: PackDef
    created_at: datetime

    def matches(self, event: EventRecord) -> bool:
        sender = pack_id(self.sender.name, self.sender.labels)
        found = (event.event, event.pack.id, event.created_at)
        return found == (self.name, sender, self.created_at)


def _labels(_ctx: Any, _param: Any, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise click.BadParameter("expected KEY=VALUE")
    return {key: value for key, _, value in pairs}


@click.command()
@flyte_options
@click.option("--label", "labels", multiple=True, callback=_labels, metavar="KEY=VALUE",
              help="A label of the pack; may be given several times.")  # fmt: skip
@click.option("--register", is_flag=True, help="Register the pack if flyte does not know it.")
@click.option("--watch", is_flag=True, help="Print what it leads to, until all of that has ended.")
@click.argument("pack", shell_complete=complete_flyte_pack)
@click.argument("event")
@click.argument("payload", required=False)
def event(
    *, labels: Mapping[str, str], register: bool, watch: bool,
    pack: str, event: str, payload: str | None, **session: Any,
) -> None:  # fmt: skip
    """Raise an event of a pack, as the pack itself would.

    PACK is its name in flyte. PAYLOAD is JSON, @FILE to read it from a file, or left out to read it
    from stdin; nothing there means null. With --watch the exit code is 1 if an action fails.
    """
    document = msgspec.json.decode(read_json_argument("PAYLOAD", payload))
    now = datetime.now(UTC)
    created_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    sender = PackDef(pack, labels=labels, event_defs=[EventDef(event)])
    with flyte_session(**session) as client:
        _make_known(client, sender, register=register)
        client.raise_event(sender, EventDef(event)(document), created_at)
        name = pack_id(pack, labels)
        echo(f"raised {event} of {name}")
        if watch:
            _watch(client, RaisedEvent(event, sender, created_at))


def _make_known(client: OperatorClient, pack: PackDef, *, register: bool) -> None:
    if client.is_registered(pack):
        return
    if register:
        client.register(pack)
        return
    name = pack_id(pack.name, pack.labels)
    known = {each.id for each in client.packs()}
    raise FlyteHostError(
        f"flyte does not know pack {name!r}{nearest(name, known)}; --register registers it"
    )


def _watch(client: OperatorClient, raised: RaisedEvent) -> None:
    """Print what the executions started by the event do; exits with 1 on a FATAL."""
    pause, began = threading.Event(), time.monotonic()
    since = raised.created_at - timedelta(hours=1)  # the clocks of two machines differ
    seen, waiting = Sightings(since), LongWaits()
    while True:
        changed = changed_since(client.executions({}), since)
        started = [each for each in changed if raised.matches(each.trigger())]
        for line in seen.news(started):
            echo(line)
        if long := waiting.new(started, time.monotonic()):
            packs, now = client.packs(), datetime.now(UTC)
            for execution, action in long:
                echo(f"{_title(execution)}: {waiting_line(action, packs, now)}")
        if not started and time.monotonic() - began > SILENCE_SECONDS:
            for why in _silence(client, raised):
                echo(f"it has led to nothing: {why}")
            return
        if started and not any(each.state == RUNNING for each in started):
            _end(client, raised, started)
            return
        pause.wait(LOOK_SECONDS)


def _title(execution: ExecutionRecord) -> str:
    return f"{execution.name} {execution.correlation_id}"


def _silence(client: OperatorClient, raised: RaisedEvent) -> list[str]:
    """Why the event had no effect: as flyte says, or as its flows suggest."""
    told = _declined(client, raised)
    return told or [why_nothing_came(client, raised.sender.name, raised.name)]


def _declined(client: OperatorClient, raised: RaisedEvent) -> list[str]:
    """Steps that started no execution."""
    return [declined_line(each) for each in declined_on(client.missed(), raised.matches)]


def _end(
    client: OperatorClient, raised: RaisedEvent, executions: Sequence[ExecutionRecord]
) -> None:
    for each in executions:
        echo(f"{_title(each)}: {each.state}")
        for step in explain_execution(client, each.correlation_id):
            if step.did in {DID_NOT_RUN, SKIPPED_STEP}:
                echo(step_line(step))
    for line in _declined(client, raised):
        echo(line)
    if any(each.state == FATAL for each in executions):
        sys.exit(1)
