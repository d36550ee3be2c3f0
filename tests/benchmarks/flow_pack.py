"""The pack that the benchmarks of embedded flyte serve: its handler takes part in a measured run.

Owns the figures of a run that only the host's process knows: when its handlers began, and what CPU
time passed. They are a file of JSON as soon as the run's last handler has begun.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")


class FlowPack:
    """An action's input names its ``run``, how many the run has, and when its event was sent."""

    _lock = threading.Lock()
    _began: ClassVar[dict[str, list[tuple[float, float]]]] = {}
    _cpu_seconds: ClassVar[dict[str, float]] = {}

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Bench", commands=[Command("count", self.count, [DONE])])

    def count(self, input: Any) -> Event:
        now, run = time.monotonic(), input["run"]
        with self._lock:
            self._cpu_seconds.setdefault(run, time.process_time())
            began = self._began.setdefault(run, [])
            began.append((now, now - float(input["sent_at"])))
            if len(began) == int(input["actions"]):
                self._write(run, began)
        return DONE()

    def _write(self, run: str, began: list[tuple[float, float]]) -> None:
        cpu_seconds = time.process_time() - self._cpu_seconds[run]
        path = Path(os.environ["FLYTE_BENCH_RUNS"], run)
        path.with_suffix(".new").write_text(
            json.dumps({"began": began, "cpu_seconds": cpu_seconds}), encoding="utf-8"
        )
        path.with_suffix(".new").rename(path)
