"""The Shell pack: one command that runs a bash script.

Owns the contract with flows: names, payloads, texts. Must not know processes.
"""

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flyte_host import (
    Action,
    Command,
    Event,
    EventDef,
    Health,
    HealthCheck,
    PackDef,
    fatal_event,
    hookimpl,
)
from flyte_pack_shell.script import CannotRun, FinishedScript, RunningScripts, Shell
from flyte_pack_shell.settings import ShellSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-shell/blob/master/README.md"
OUTPUT = EventDef("Output")
"""Payload: ``{stdout: str, stderr: str, exit_code: int}``."""

_HEALTH_LIMIT_SECONDS = 5
_JSON_TYPES = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


class ShellPack:
    """Runs what flows send; drop-in for the Go pack flyte-shell."""

    def __init__(self, settings: ShellSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._shell = Shell(
            settings.bash,
            settings.environment_of(os.environ if environ is None else environ),
            settings.working_directory,
            settings.max_output_bytes,
        )
        self._running = RunningScripts()

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Shell", HELP_URL, commands=[Command("Shell", self.run, [OUTPUT])])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not install bash, and its other packs are fine.
        return [HealthCheck("bash", self._check_bash, critical=False)]

    @hookimpl
    def flyte_observe(self, stopping: threading.Event) -> None:
        """When the host stops, give running scripts a few seconds, then end them."""
        stopping.wait()
        reason = "killed because the host is stopping"
        grace = self._settings.stop_grace_seconds
        # In a thread, because the host waits for observers before it stops.
        timer = threading.Timer(grace, self._running.end, [reason])
        timer.daemon = True
        timer.start()

    def run(self, input: Any, action: Action) -> Event:
        """Run the script in ``input``; however it ends, the result is an ``Output``."""
        if input is None or input == "":
            return _output(FinishedScript("", "No script supplied to handler", 1))
        if not isinstance(input, str):
            found = _JSON_TYPES[type(input)]
            text = f"json: cannot unmarshal {found} into Go value of type string"
            return _output(FinishedScript("", text, 1))
        try:
            return _output(self._finish(input, *self._limit(action)))
        except CannotRun as error:
            return fatal_event(str(error))

    def _finish(self, script: str, limit_seconds: float | None, limited_by: str) -> FinishedScript:
        with self._running.keeping(self._shell.start(script)) as running:
            return running.finish(limit_seconds, limited_by)

    def _limit(self, action: Action) -> tuple[float | None, str]:
        """Our timeout or the moment at which the host gives up, whichever comes first."""
        limits = []
        if self._settings.timeout_seconds is not None:
            limits.append((self._settings.timeout_seconds, "timeout_seconds"))
        if action.deadline is not None:
            left = (action.deadline - datetime.now(UTC)).total_seconds()
            limits.append((max(left, 0), "the host's timeout"))
        return min(limits, default=(None, ""))

    def _check_bash(self) -> Health:
        try:
            finished = self._finish("echo $BASH_VERSION", _HEALTH_LIMIT_SECONDS, "health check")
        except CannotRun as error:
            return Health(False, str(error))
        if finished.exit_code != 0:
            said = finished.stderr.strip()
            return Health(False, f"{self._settings.bash} ends with {finished.exit_code}: {said}")
        return Health(True, f"bash {finished.stdout.strip()}")


def _output(finished: FinishedScript) -> Event:
    return OUTPUT(
        {
            "stdout": finished.stdout,
            "stderr": finished.stderr,
            "exit_code": finished.exit_code,
        }
    )
