"""What pages show: the documents of the API, and a few counts that only pages need.

Owns which documents a page needs. Must not know HTTP or how pages look.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded import responses
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.database import Database, to_millis
from flyte_host.embedded.datastore import Datastore
from flyte_host.embedded.decision_log import DecisionLog, KeptDecision, UnheardEvent
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.flow_checks import PackNames
from flyte_host.embedded.ids import made_at
from flyte_host.embedded.model import AuditFilter, DataItem, Labels, RegisteredPack, fits
from flyte_host.embedded.store import Store
from flyte_host.records.execution_record import ExecutionRecord
from flyte_host.records.flow_record import FlowRecord
from flyte_host.records.host_view import HostView, NoHost
from flyte_host.records.pack_record import PackRecord
from flyte_host.text import counted
from flyte_host.type_caches import fill_type_caches

fill_type_caches(ExecutionRecord, FlowRecord, list[PackRecord])

PAGE_EXECUTIONS = 50
MOST_SEARCHED = 300
"""How many executions a page searches for a state or a text."""
MINUTES = 60
KEPT_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions a list shows; empty means any."""

    flow: str = ""
    pack: str = ""
    state: str = ""
    text: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True)
class ExecutionList:
    """A page of executions; ``next_start`` is where the search ended, if there are more."""

    executions: Sequence[ExecutionRecord]
    next_start: int | None

    def searched_from(self, start: int) -> int:
        """How many executions were searched, if the page is not full; else 0."""
        if self.next_start is None or len(self.executions) == PAGE_EXECUTIONS:
            return 0
        return self.next_start - start


@dataclass(frozen=True, slots=True)
class WaitingActions:
    """Actions that no pack has taken; ``problem`` says why, where that is known."""

    pack_name: str
    pack_labels: Labels
    command: str
    count: int
    problem: str

    def is_for(self, pack: PackRecord) -> bool:
        return self.pack_name == pack.name and fits(self.pack_labels, pack.labels or {})

    def __str__(self) -> str:
        wait = counted(self.count, "action waits", "actions wait")
        return f"{wait} for {self.pack_name}.{self.command}: {self.problem}"


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A version of a flow, and when it was the current one."""

    uuid: str
    stored: datetime | None
    replaced: datetime | None


class PackUse(NamedTuple):
    """A step of a flow that ``waits for`` an event of a pack, or ``runs`` a command of it."""

    flow: str
    step: str
    verb: str
    name: str


class PageSource:
    """Reads; changes nothing. Safe from any thread. ``host`` is the one of this process."""

    def __init__(
        self,
        database: Database,
        store: Store,
        datastore: Datastore,
        audit: Audit,
        *,
        kept: DecisionLog,
        clock: Clock,
    ) -> None:
        self.host: HostView = NoHost()
        self._database = database
        self._store = store
        self._datastore = datastore
        self._audit = audit
        self._kept = kept
        self.now = clock.now

    def scrub(self, text: str) -> str:
        """The text without the secrets that the host knows."""
        return self.host.scrub(text)

    def executions(self, wanted: ExecutionFilter) -> ExecutionList:
        """Most recently changed first."""
        found: list[ExecutionRecord] = []
        for number, execution in self._executions(wanted):
            if number == wanted.start + MOST_SEARCHED or len(found) == PAGE_EXECUTIONS:
                return ExecutionList(found, number)
            if _fits(execution, wanted):
                found.append(execution)
        return ExecutionList(found, None)

    def _executions(self, wanted: ExecutionFilter) -> Iterator[tuple[int, ExecutionRecord]]:
        """Those that the store can find, each with its number, from the wanted start."""
        start: int | None = wanted.start
        while start is not None:
            page = self._audit.find(
                AuditFilter(
                    flow_name=wanted.flow,
                    action_pack_name=wanted.pack,
                    start=start,
                    limit=PAGE_EXECUTIONS + 1,
                )
            )
            for number, audited in enumerate(page.executions, start):
                yield number, msgspec.convert(responses.explained(audited), ExecutionRecord)
            full = len(page.executions) > PAGE_EXECUTIONS
            start = page.next_start or (start + PAGE_EXECUTIONS + 1 if full else None)

    def execution(self, correlation_id: str) -> ExecutionRecord | None:
        found = self._audit.execution(correlation_id)
        if found is None:
            return None
        return msgspec.convert(responses.explained(found), ExecutionRecord)

    def flows(self) -> list[FlowRecord]:
        return [as_record(flow) for flow in self._store.flows.all()]

    def flow(self, name: str) -> Flow | None:
        return self._store.flows.get(name)

    def versions(self, name: str) -> list[FlowVersion]:
        """The stored versions of a flow, the current one first."""
        return [
            FlowVersion(uuid, made_at(uuid), replaced)
            for uuid, replaced in self._store.flows.versions(name)
        ]

    def version(self, name: str, uuid: str) -> Flow | None:
        """A version of the flow with this name."""
        flow = self._store.flows.version(uuid)
        return flow if flow is not None and flow.name == name else None

    def packs(self) -> list[PackRecord]:
        now = self.now()
        shown = responses.packs("", self._store.packs.all(), now)["packs"]
        return msgspec.convert(shown, list[PackRecord])

    def pack(self, pack_id: str) -> RegisteredPack | None:
        return self._store.packs.get(pack_id)

    def pack_names(self) -> dict[str, PackNames]:
        """What flows can name of the packs, by the packs' names without labels."""
        found: dict[str, PackNames] = {}
        for each in self.packs():
            pack = self.pack(each.id)
            if pack is not None:
                commands = frozenset(str(command["name"]) for command in pack.commands)
                events = frozenset(str(event["name"]) for event in pack.events)
                known = found.get(each.name, PackNames(frozenset(), frozenset(), labels=()))
                found[each.name] = PackNames(
                    known.commands | commands,
                    known.events | events,
                    labels=[*known.labels, pack.sender.labels],
                )
        return found

    def items(self) -> Sequence[DataItem]:
        return self._datastore.items()

    def waiting(self) -> list[WaitingActions]:
        """How many actions wait, by pack, labels and command, most first."""
        rows = self._database.rows(
            "SELECT pack_name, pack_labels, name, count(*) FROM action WHERE state = 'NEW' "
            "GROUP BY pack_name, pack_labels, name ORDER BY count(*) DESC LIMIT 100"
        )
        why = self._store.packs.why_nobody_serves
        return [
            WaitingActions(name, wanted, command, count, why(name, wanted, command))
            for name, wanted, command, count in (
                (name, msgspec.json.decode(labels), command, count)
                for name, labels, command, count in rows
            )
        ]

    def unserved(self) -> list[WaitingActions]:
        """What waits for a pack or command that no host serves."""
        return [each for each in self.waiting() if each.problem]

    def decisions(self, flow_name: str = "") -> Sequence[KeptDecision]:
        """What had no effect, of one flow or of all, newest first."""
        return self._kept.decisions(flow_name)[:KEPT_SHOWN]

    def unheard(self) -> list[tuple[UnheardEvent, str]]:
        """Events that no flow waits for, each with the nearest one that a flow waits for."""
        return [
            (each, self._store.flows.nearest_trigger(each.event.pack.name, each.event.name))
            for each in self._kept.unheard()[:KEPT_SHOWN]
        ]

    def executions_per_minute(self) -> list[int]:
        """How many executions last changed in each of the last 60 minutes, oldest first."""
        begin = self.now() - timedelta(minutes=MINUTES)
        rows = self._database.rows(
            "SELECT (changed - ?) / 60000, count(*) FROM execution WHERE changed >= ? GROUP BY 1",
            to_millis(begin),
            to_millis(begin),
        )
        counts: Counter[int] = Counter()
        for minute, count in rows:
            counts[min(minute, MINUTES - 1)] += count
        return [counts[minute] for minute in range(MINUTES)]


def as_record(flow: Flow) -> FlowRecord:
    """``flow`` as the API shows it."""
    return msgspec.convert(responses.flow("", flow), FlowRecord)


def waiting_for(pack: PackRecord, waiting: Sequence[WaitingActions]) -> int:
    """How many waiting actions the pack may take."""
    return sum(each.count for each in waiting if each.is_for(pack))


def seen_ago(pack: PackRecord, now: datetime) -> float:
    """Seconds since the pack was last seen."""
    return max(0.0, (now - pack.last_seen).total_seconds()) if pack.last_seen else 0.0


def _fits(execution: ExecutionRecord, wanted: ExecutionFilter) -> bool:
    if wanted.state and execution.state != wanted.state:
        return False
    if not wanted.text:
        return True
    return wanted.text.casefold() in msgspec.json.encode(execution).decode().casefold()


def uses_of(pack_name: str, flows: Sequence[FlowRecord]) -> list[PackUse]:
    """Where flows name the pack, in their order."""
    return [
        PackUse(flow.name, step.id or str(number + 1), verb, named.name)
        for flow in flows
        for number, step in enumerate(flow.steps or ())
        for verb, named in (("waits for", step.event), ("runs", step.command))
        if named.pack_name == pack_name
    ]


def as_json(value: Any) -> str:
    """``value`` as JSON for reading."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
