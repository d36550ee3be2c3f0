"""Runs of flows on a host with embedded flyte: ``flyte-host serve`` of a checkout, and its driver.

Owns the process, its flows and events, and what is read of a run. The figures of handlers come
from ``flow_pack``, which the host serves.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from tests.benchmarks.process_meter import cpu_seconds
from tests.benchmarks.reference_curl import CurlCaller
from tests.benchmarks.subjects import PLUGIN_ENTRY_POINT, PLUGIN_METADATA

LIMIT_SECONDS = 300.0
LOOK_SECONDS = 0.02
STOP_SECONDS = 20.0
CONFIG = """
[flyte.embedded]
listen = "127.0.0.1:0"
store = "flyte.db"
[host]
max_concurrent = 16
[health]
listen = "127.0.0.1:0"
"""


@dataclass(frozen=True)
class FlowRun:
    """For each handler, when it began and the seconds since its event, in order."""

    began: list[tuple[float, float]]
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        return self.began[-1][0] - self.began[0][0]

    @property
    def per_second(self) -> float:
        return (len(self.began) - 1) / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """For each action."""
        return 1e6 * self.cpu_seconds / len(self.began)

    def latency(self, part: float) -> float:
        """The quantile ``part`` of the seconds from the sending of an event to its handler."""
        ordered = sorted(seconds for _, seconds in self.began)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


class FlowRuns:
    """A host with ``packs`` packs, all registered; stopped at the end of the block."""

    def __init__(self, folder: Path, *, packs: int) -> None:
        self._checkout = folder
        self._packs = packs
        self._runs = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._home = Path(stack.enter_context(TemporaryDirectory(prefix="flyte-bench-")))
            self._process = self._start()
            stack.callback(self._stop)
            lines = self._wait_registered()
            at = next(line for line in lines if "embedded flyte at http" in line)
            self._url = at.rpartition(" at ")[2].strip()
            self._flyte = CurlCaller()  # others take longer to send an event than flyte to answer
            self._post("/v1/packs", {"name": "Driver"})
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put_flows(self, name: str, *, count: int, steps: int) -> None:
        """``count`` flows that wait for the event ``name`` with ``steps`` steps, one after another.

        Packs take turns, step by step.
        """
        for number in range(count):
            document = {"name": f"{name}-{number}", "steps": self._steps(name, steps)}
            self._post("/v1/flows", document)

    def run(self, name: str, *, events: int, actions: int, pause_seconds: float = 0.0) -> FlowRun:
        """Send ``events`` events ``name`` and wait until their ``actions`` handlers have begun."""
        self._runs += 1
        run = f"run-{self._runs}"
        for _ in range(events):
            payload = {"run": run, "actions": str(actions), "sent_at": repr(time.monotonic())}
            self._post("/v1/packs/Driver/events", {"event": name, "payload": payload})
            time.sleep(pause_seconds)
        return FlowRun(**json.loads(self._wait_file(self._home / run)))

    def idle_core_percent(self, seconds: float) -> float:
        """What the process takes of a core while nothing happens."""
        time.sleep(2.0)
        began, cpu_began = time.monotonic(), cpu_seconds(self._process.pid)
        time.sleep(seconds)
        cpu = cpu_seconds(self._process.pid) - cpu_began
        return 100 * cpu / (time.monotonic() - began)

    def _steps(self, name: str, steps: int) -> list[dict[str, Any]]:
        return [self._step(name, number) for number in range(steps)]

    def _step(self, name: str, number: int) -> dict[str, Any]:
        context = {key: f"{{{{ Event.Payload.{key} }}}}" for key in ("run", "actions", "sent_at")}
        value = {key: f"{{{{ Context.{key} }}}}" for key in context}
        command = {"name": "count", "packName": self._pack(number), "input": value}
        if number == 0:
            event = {"name": name, "packName": "Driver"}
            return {"id": "0", "event": event, "context": context, "command": command}
        event = {"name": "Done", "packName": self._pack(number - 1)}
        after = [str(number - 1)]
        return {"id": str(number), "dependsOn": after, "event": event, "command": command}

    def _pack(self, number: int) -> str:
        return f"Pack{number % self._packs}"

    def _post(self, path: str, document: Any) -> None:
        status, answer = self._flyte.post(f"{self._url}{path}", json.dumps(document).encode())
        if status >= 300:
            raise RuntimeError(f"{path} was answered with {status}: {answer!r}")

    def _start(self) -> "subprocess.Popen[bytes]":
        self._write_plugin(self._home / "plugin")
        packs = "".join(
            f'[packs.bench{number}]\nplugin = "bench"\nname = "Pack{number}"\n'
            for number in range(self._packs)
        )
        config = self._home / "flyte-host.toml"
        config.write_text(CONFIG + packs, encoding="utf-8")
        with (self._home / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flyte_host", "serve", "--config", str(config)],
                cwd=self._home,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _environ(self) -> Mapping[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("FLYTE_")}
        path = f"{self._checkout.resolve()}{os.pathsep}{self._home / 'plugin'}"
        return {**ours, "PYTHONPATH": path, "FLYTE_BENCH_RUNS": str(self._home)}

    def _write_plugin(self, folder: Path) -> None:
        metadata = folder / "flyte_pack_bench-0.dist-info"
        metadata.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("flow_pack.py"), folder / "flyte_pack_bench.py")
        (metadata / "METADATA").write_text(PLUGIN_METADATA, encoding="utf-8")
        entry_point = PLUGIN_ENTRY_POINT.replace("BenchPack", "FlowPack")
        (metadata / "entry_points.txt").write_text(entry_point, encoding="utf-8")

    def _wait_registered(self) -> list[str]:
        began = None
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            lines = (self._home / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            registered = sum(bool(re.search(r"registered as \S*Pack\d", line)) for line in lines)
            if registered and began is None:
                began = time.monotonic()
            if began is not None and registered == self._packs:
                self.seconds_to_registered = time.monotonic() - began
                return lines
            self._check(deadline)
            time.sleep(LOOK_SECONDS * 2)

    def _wait_file(self, path: Path) -> str:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not path.exists():
            self._check(deadline)
            time.sleep(LOOK_SECONDS)
        return path.read_text(encoding="utf-8")

    def _check(self, deadline: float) -> None:
        ended = self._process.poll() is not None
        if ended or time.monotonic() > deadline:
            said = (self._home / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the host {'ended' if ended else 'took too long'}: {said}")

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
