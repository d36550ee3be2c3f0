"""The Consul pack: TransactKV, and whether the agent is ready for one.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping
from typing import Any

from flyte_pack_kit import (
    HEALTH_LIMIT_SECONDS,
    NoAnswer,
    RestAnswer,
    RestClient,
    decode,
    health_of,
)

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, fatal_event, hookimpl
from flyte_pack_consul.settings import ConsulSettings
from flyte_pack_consul.transaction import Transaction, TransactionAnswer

HELP_URL = "https://github.com/ExpediaGroup/flyte-consul/blob/master/README.md"
TRANSACTION_SUCCEEDED = EventDef("TransactionSucceeded")
"""Payload: ``{input: {dc, operations}, results: [{index, key, value}]}``."""
TRANSACTION_ROLLED_BACK = EventDef("TransactionRolledBack")
"""Payload: ``{input: {dc, operations}, errors: [{index, error}]}``."""


class ConsulPack:
    """Transactions on keys and values; drop-in for the Go pack flyte-consul.

    ``environ`` is where Consul's variables are looked up (None: the process's own).
    """

    def __init__(self, settings: ConsulSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._consul = RestClient(self._settings.target())

    @hookimpl
    def flyte_pack(self) -> PackDef:
        # Not idempotent: cas and check-not-exists would fail the second time.
        events = [TRANSACTION_SUCCEEDED, TRANSACTION_ROLLED_BACK]
        return PackDef("Consul", HELP_URL, commands=[Command("TransactKV", self._transact, events)])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Consul, and its other packs are fine.
        return [HealthCheck("consul", self._check, critical=False)]

    def _transact(self, input: Any) -> Event:
        decoded = decode(Transaction, input)
        wanted = decoded.value
        if decoded.error:
            return self._refused(wanted, f"input is not valid: {decoded.error}")
        if not wanted.operations:
            return self._refused(wanted, "missing operations")
        if problems := wanted.problems():
            return _rolled_back(wanted, problems)
        try:
            answer = self._put(wanted)
        except NoAnswer as cause:
            return self._unknown(str(cause))
        return self._answered(wanted, answer)

    def _put(self, wanted: Transaction) -> RestAnswer:
        compatible = self._settings.go_compatible
        body = [each.document(go_compatible=compatible) for each in wanted.operations or []]
        given = {"dc": wanted.dc, "ns": self._settings.namespace}
        query = {name: value for name, value in given.items() if value}
        return self._consul.send("PUT", "txn", query=query, body=body)

    def _answered(self, wanted: Transaction, answer: RestAnswer) -> Event:
        if answer.status not in {200, 409}:
            words = answer.words.show(answer.stranger or answer.content)
            return self._unknown(f"status code {answer.status}: {words}")
        decoded = answer.decoded(TransactionAnswer)
        if decoded.error:
            return self._unknown(f"status code {answer.status}: {decoded.error}")
        if answer.status == 409:
            return _rolled_back(wanted, decoded.value.told_errors(answer.words))
        results = decoded.value.told_results()
        return TRANSACTION_SUCCEEDED({"input": wanted.told(), "results": results})

    def _refused(self, wanted: Transaction, error: str) -> Event:
        if self._settings.go_compatible:
            return fatal_event(error)
        return _rolled_back(wanted, [{"index": None, "error": error}])

    def _unknown(self, error: str) -> Event:
        """Nobody knows whether it was done, so it is a FATAL as in the Go pack."""
        told = "failed to make transaction request: "
        return fatal_event(told * (2 if self._settings.go_compatible else 1) + error)

    def _check(self) -> Health:
        found = health_of(self._consul, "Consul", "status", "leader")
        return self._check_more() if found.healthy else found

    def _check_more(self) -> Health:
        url = self._settings.url
        try:
            if self._get("status", "leader").content.strip() == b'""':
                return Health(False, f"{url} has no leader")
            if self._settings.token and self._get("acl", "token", "self").status == 403:
                return Health(False, f"{url} does not know the token")
        except NoAnswer as cause:
            return Health(False, f"{url} does not answer: {cause}")
        return Health(True, f"{url} has a leader")

    def _get(self, *segments: str) -> RestAnswer:
        limit_seconds = min(HEALTH_LIMIT_SECONDS, self._settings.timeout_seconds)
        return self._consul.send("GET", *segments, limit_seconds=limit_seconds)


def _rolled_back(wanted: Transaction, errors: list[dict[str, Any]] | None) -> Event:
    return TRANSACTION_ROLLED_BACK({"input": wanted.told(), "errors": errors})
