"""flyte's HTTP API as people use it: executions, flows, packs, and an event raised by hand.

Owns which call goes where and what its answer means. What a host calls is in ``flyte_client``,
which this extends: the same connections, credentials and errors. Must not know how answers are
shown.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode, urljoin

import msgspec

from flyte_host.client import wire
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.errors import FlyteUnknown
from flyte_host.model import Event, PackDef, pack_id
from flyte_host.records.execution_record import ExecutionRecord, SkipRecord
from flyte_host.records.flow_record import FlowRecord
from flyte_host.records.missed_record import MissedRecord
from flyte_host.records.pack_record import PackRecord

PAGE_EXECUTIONS = 50

_T = TypeVar("_T")


class _Executions(msgspec.Struct):
    flows: list[ExecutionRecord] | None = None


class _Flows(msgspec.Struct):
    flows: list[FlowRecord] | None = None


class _Packs(msgspec.Struct):
    packs: list[PackRecord] | None = None


class OperatorClient(FlyteClient):
    """Every call raises the subclasses of FlyteError; FlyteUnknown for what is not there."""

    def executions(self, query: Mapping[str, str]) -> Iterator[ExecutionRecord]:
        """The executions that match ``query``, most recently changed first, page by page.

        ``query`` has the audit's own keys, such as ``flowName``. flyte leaves out executions
        whose history is gone, so that a page may be short.
        """
        start = 0
        while True:
            page = {**query, "start": str(start), "limit": str(PAGE_EXECUTIONS)}
            href = f"{self._conversation.link('flowAudit/findFlows')}?{urlencode(page)}"
            found = self._get(href, _Executions).flows or []
            yield from found
            if not found:
                return
            start += PAGE_EXECUTIONS

    def execution(self, correlation_id: str) -> ExecutionRecord:
        return self._get(self._below("flowAudit/findFlows", correlation_id), ExecutionRecord)

    def explained(self, correlation_id: str) -> ExecutionRecord:
        """The execution, with the steps that did not run, as far as flyte remembers them."""
        found = self.execution(correlation_id)
        missed = self.missed(found.name)
        found.declined = [
            SkipRecord(each.step_id, each.event, each.reason, each.time)
            for each in reversed((missed and missed.decisions) or ())
            if each.correlation_id == correlation_id
        ]
        return found

    def missed(self, flow: str = "") -> MissedRecord | None:
        """What made nothing, of a flow or of all; None if this flyte does not tell."""
        # No link leads there: those of embedded flyte are the Go server's.
        href = urljoin(self._conversation.link("flowAudit/findFlows"), "decisions")
        try:
            return self._get(f"{href}?{urlencode({'flowName': flow})}", MissedRecord)
        except FlyteUnknown:
            return None

    def flows(self) -> list[FlowRecord]:
        return self._get(self._conversation.link("flow/listFlows"), _Flows).flows or []

    def flow(self, name: str) -> FlowRecord:
        return self._get(self._below("flow/listFlows", name), FlowRecord)

    def flow_document(self, name: str) -> bytes:
        """The flow as flyte shows it, in JSON."""
        href = self._below("flow/listFlows", name)
        return self._conversation.call("GET", href, accepted={200}).body or b""

    def put_flow(self, document: bytes) -> None:
        """Store a flow, given in JSON, as the current version under its name."""
        self._conversation.call(
            "POST", self._conversation.link("flow/listFlows"), document, accepted={201}
        )

    def delete_flow(self, name: str) -> None:
        self._conversation.call("DELETE", self._below("flow/listFlows", name), accepted={204})

    def packs(self) -> list[PackRecord]:
        return self._get(self._conversation.link("pack/listPacks"), _Packs).packs or []

    def pack(self, pack_id: str) -> PackRecord:
        return self._get(self._below("pack/listPacks", pack_id), PackRecord)

    def raise_event(self, pack: PackDef, event: Event, created_at: datetime) -> None:
        """Raise an event in the name of a registered pack."""
        body = wire.encode_event(event, created_at)
        href = f"{self._below('pack/listPacks', pack_id(pack.name, pack.labels))}/events"
        self._conversation.call("POST", href, body, accepted={202})

    def is_registered(self, pack: PackDef) -> bool:
        try:
            self.pack(pack_id(pack.name, pack.labels))
        except FlyteUnknown:
            return False
        return True

    def _below(self, link: str, name: str) -> str:
        return f"{self._conversation.link(link)}/{quote(name, safe='')}"

    def _get(self, href: str, shape: type[_T]) -> _T:
        answer = self._conversation.call("GET", href, accepted={200})
        return self._conversation.decode(partial(wire.decode_document, shape=shape), answer)
