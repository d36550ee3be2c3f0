"""What the fixtures ask of the flyte of a test, over its HTTP API.

Owns the requests and the shapes of the answers. Must not know what a test wants to see.
"""

from typing import Any, TypeVar

import msgspec
import requests

from flyte_host.records.execution_record import ExecutionRecord
from flyte_host.records.missed_record import MissedRecord
from flyte_host.records.pack_record import PackRecord
from flyte_host.testing.faulty_app import KIT_HEADER
from flyte_host.testing.waiting import PATIENCE_SECONDS

_T = TypeVar("_T")


class _SeenExecutions(msgspec.Struct):
    flows: list[ExecutionRecord] | None = None


class _SeenPacks(msgspec.Struct):
    packs: list[PackRecord] | None = None


class KitClient:
    """No scripted fault concerns its requests."""

    def __init__(self, url: str) -> None:
        self._url = url

    def packs(self) -> list[PackRecord]:
        """The registered packs."""
        return self._read("/v1/packs", _SeenPacks).packs or []

    def executions(self, flow: str = "") -> list[ExecutionRecord]:
        """The executions of a flow, or (empty) of all."""
        return self._read(f"/v1/audit/flows?flowName={flow}", _SeenExecutions).flows or []

    def missed(self) -> MissedRecord:
        """What did not happen, and why."""
        return self._read("/v1/audit/decisions", MissedRecord)

    def post(self, path: str, document: Any) -> None:
        self._ask("POST", path, document)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def _read(self, path: str, shape: type[_T]) -> _T:
        return msgspec.json.decode(self._ask("GET", path).content, type=shape)

    def _ask(self, method: str, path: str, document: Any = None) -> requests.Response:
        answer = requests.request(
            method,
            self._url + path,
            json=document,
            headers={KIT_HEADER: "1"},
            timeout=PATIENCE_SECONDS,
        )
        answer.raise_for_status()
        return answer
