"""Runs health checks, all at once, each with a time limit.

Owns the texts for what a check may do wrong. Must not know HTTP.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flyte_host.foreign_code import ForeignCall, Misbehaved
from flyte_host.json_encoding import encode_json
from flyte_host.model import Health, HealthCheck
from flyte_host.text import type_of

LIMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """The outcome of one check; ``status`` is JSON."""

    healthy: bool
    status: Any
    critical: bool


class Checks:
    """Runs each check once at a time: a reader that comes meanwhile waits for the same run."""

    def __init__(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._attempts: dict[int, ForeignCall[Health]] = {}

    def ask(self, checks: Mapping[str, HealthCheck]) -> dict[str, CheckAnswer]:
        """The answer of every check, by name; does not raise, whatever a check does."""
        attempts = {name: self._attempt(check) for name, check in checks.items()}
        return {name: self._answer(checks[name], attempts[name]) for name in checks}

    def _attempt(self, check: HealthCheck) -> ForeignCall[Health]:
        with self._lock:
            attempt = self._attempts.get(id(check))
            if attempt is None or attempt.ended:
                attempt = self._attempts[id(check)] = ForeignCall(lambda: call_check(check.check))
            return attempt

    def _answer(self, check: HealthCheck, attempt: ForeignCall[Health]) -> CheckAnswer:
        try:
            health = attempt.result(self._limit_seconds)
        except Misbehaved as error:
            health = Health(False, f"the check failed: {error}")
        return CheckAnswer(health.healthy, health.status, check.critical)


def call_check(check: Callable[[], object]) -> Health:
    """The check's answer, with its status in JSON; raises Misbehaved for anything else."""
    health = check()
    if not isinstance(health, Health):
        raise Misbehaved(f"it returned {type_of(health)}, expected a Health")
    try:
        document = encode_json("its status", health.status, root="status")
    except ValueError as error:
        raise Misbehaved(str(error)) from error
    return Health(bool(health.healthy), msgspec.json.decode(document))
