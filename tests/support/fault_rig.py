"""A flyte with its proxy, hosts that work for it, and an account of all that happened.

Owns the worker plugin, whose runs are on disk before they count, hosts in processes of their own,
and :class:`Reckoning`. Must not know faults or moments.
"""

import json
import logging
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

import requests

from flyte_host import Command, Event, EventDef, PackDef, hookimpl, logs
from flyte_host.config import Config
from flyte_host.host.host import Host
from flyte_host.host.serving import serve_host
from flyte_host.model import Action
from flyte_host.secrets import Scrubber, SecretRef
from flyte_host.testing.flyte_server import KIT_PACK, FlyteServer
from flyte_host.testing.serving import host_config, install
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.crowd import Crowd
from tests.support.fork_server import FORKS
from tests.support.neighbours import NEIGHBOURS
from tests.support.proxy import FaultProxy, forward_to

DONE = EventDef("Done")
RAISED = EventDef("Raised")
COMMANDS = ("work", "again", "stuck")
PACK = "Demo"


class Worker:
    """Writes down each run before it does anything; inputs are ``n<number>[-start|-end]``.

    ``-start`` and ``-end`` kill the process there, in the first attempt. Its observer raises
    ``Raised(1)`` up to the number in the file ``wanted``, and notes each that was accepted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("work", self.work, [DONE]),
            Command("again", self.work, [DONE], idempotent=True),
            Command("stuck", self.stuck, [DONE]),
        ]
        return PackDef(PACK, commands=commands, event_defs=[RAISED])

    def work(self, input: str, action: Action) -> Event:
        _append(self._folder / "runs", f"{action.command} {input} {action.attempt}")
        number, _, moment = input.partition("-")
        if moment == "start" and action.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        _append(self._folder / "ends", f"{action.command} {input} {action.attempt}")
        if moment == "end" and action.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return DONE(number)

    def stuck(self, input: str, action: Action) -> Event:
        _append(self._folder / "runs", f"{action.command} {input} {action.attempt}")
        threading.Event().wait()
        return DONE(input)

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        raised = max(_numbers(self._folder / "accepted"), default=0)
        while not stopping.wait(0.02):
            while raised < max(_numbers(self._folder / "wanted"), default=0):
                raised += 1
                emit(RAISED(raised))
                _append(self._folder / "accepted", str(raised))


def _append(path: Path, line: str) -> None:
    with path.open("ab", buffering=0) as file:  # O_APPEND, and one write
        file.write(f"{line}\n".encode())


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _numbers(path: Path) -> list[int]:
    return [int(line) for line in lines(path)]


def config_for(
    folder: Path, url: str, *, timeout_seconds: float = PATIENCE_SECONDS, **host: Any
) -> Config:
    """Short polls; the token of flyte is in the file ``token``, if there is one."""
    made = host_config(url, folder / "journal.db", {}, {"poll_interval_seconds": 0.2, **host})
    token = folder / "token"
    flyte = replace(
        made.flyte,
        timeout_seconds=timeout_seconds,
        token=SecretRef(file=token) if token.exists() else None,
    )
    return replace(made, flyte=flyte)


def host_for(folder: Path, url: str, *plugins: object, **host: Any) -> Host:
    """Instances are called ``demo``, ``demo1`` and so on."""
    named = {f"demo{number or ''}": each for number, each in enumerate(plugins)}
    return Host(config_for(folder, url, **host), install(named), {}, Scrubber())


PLUGINS: dict[str, Callable[[Path], object]] = {"Worker": Worker, "Crowd": Crowd, **NEIGHBOURS}


def _serve(folder: Path, url: str, plugins: tuple[str, ...], host: dict[str, Any]) -> None:
    with (folder / "host.log").open("a") as log:
        logs.configure("text", "info", Scrubber(), stream=log)
        logging.getLogger(__name__).info("process %d", os.getpid())
        serve_host(host_for(folder, url, *[PLUGINS[each](folder) for each in plugins], **host))


class HostProcess:
    """A host with some plugins in its own process; ``host`` are keys of ``[host]``."""

    def __init__(self, folder: Path, url: str, *plugins: str, **host: Any) -> None:
        self.process = FORKS.Process(target=_serve, args=(folder, url, plugins, host), daemon=True)
        self.process.start()
        self._lock = threading.Lock()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        with self._lock:
            if self.process.exitcode is None:
                os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.ended()

    def ended(self, timeout_seconds: float = PATIENCE_SECONDS) -> int | None:
        """The exit code, negative for a signal; None: it still runs."""
        wait([self.process.sentinel], timeout_seconds)
        with self._lock:  # only one thread may fetch the code
            return self.process.exitcode


@dataclass(frozen=True)
class Reckoning:
    """The outcome of all actions and events.

    ``lost``: actions that neither ended nor fell into the gap. ``gap``: flyte gave them out, and
    the host never got to write them down. ``twice``: results that flyte took twice, or handlers of
    ``work`` that ran twice. ``repeated``: events that flyte took more often than once.
    """

    actions: int
    events: int
    lost: tuple[str, ...]
    gap: int
    twice: tuple[str, ...]
    events_lost: tuple[int, ...]
    repeated: int
    parked: int


_MAKING = threading.Lock()
"""Python 3.11 cannot parse in two threads at once, which werkzeug does for its routes."""


class Rig:
    """Embedded flyte behind a proxy, a folder for a host, and counters of what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _MAKING:
            self.flyte = FlyteServer()
        self.proxy = FaultProxy(forward_to(self.flyte.url))
        self.asked = 0
        self.wanted = 0
        requests.post(
            f"{self.flyte.url}/v1/packs", json={"name": KIT_PACK}, timeout=PATIENCE_SECONDS
        )
        for command in COMMANDS:
            self.flyte.put_flow(_flow(command))

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self.flyte.close()

    def load(self, count: int, command: str = "work", moment: str = "") -> None:
        """Queue that many actions."""
        for _ in range(count):
            self.asked += 1
            self.flyte.send_event(KIT_PACK, command, f"n{self.asked}{moment}")

    def want_events(self, count: int) -> None:
        """Have the worker's observer raise that many more events."""
        self.wanted += count
        _append(self.folder / "wanted", str(self.wanted))

    def ended(self) -> int:
        """Actions that have a result."""
        return sum(name in {"Done", "FATAL"} for _, name, _ in self.flyte.events(PACK))

    def raised(self) -> Counter[int]:
        """How often flyte took which event."""
        return Counter(value for _, name, value in self.flyte.events(PACK) if name == "Raised")

    def in_journal(self) -> dict[str, str]:
        """The states of all actions that the journal knows, by id; while no host runs."""
        with closing(sqlite3.connect(self.folder / "journal.db")) as db:
            return dict(db.execute("SELECT id, state FROM action").fetchall())

    def wait_settled(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Until every action has ended, but those that flyte gave out and the host never saw."""

        def settled() -> bool:
            if len(self.raised()) < self.wanted:
                return False
            if self.ended() >= self.asked:
                return True
            states = Counter(each["state"]["value"] for each in self.audited())
            known = self._open_in_journal()
            return not states["NEW"] and not known

        wait_until(settled, "all is settled", timeout_seconds=timeout_seconds, look_seconds=0.05)

    def _open_in_journal(self) -> int:
        with closing(sqlite3.connect(self.folder / "journal.db", timeout=PATIENCE_SECONDS)) as db:
            found = "SELECT count(*) FROM action WHERE state IN ('taken', 'result')"
            return int(db.execute(found).fetchone()[0])

    def audited(self) -> list[dict[str, Any]]:
        """All actions, as flyte's audit has them."""
        actions: list[dict[str, Any]] = []
        while True:
            query = {"start": len(actions), "limit": 500}
            answer = requests.get(
                f"{self.flyte.url}/v1/audit/flows", query, timeout=PATIENCE_SECONDS
            )
            found = [each for flow in answer.json()["flows"] for each in flow["actions"].values()]
            if not found:
                return actions
            actions += found

    def account(self) -> Reckoning:
        """After the last host has ended."""
        actions, journal = self.audited(), self.in_journal()
        runs = Counter(line.split()[1] for line in lines(self.folder / "runs"))
        pending = [each for each in actions if each["state"]["value"] != "SUCCESS"]
        pending = [each for each in pending if each["state"]["value"] != "FATAL"]
        in_gap = [
            each for each in pending
            if each["state"]["value"] == "PENDING"
            and each["id"] not in journal and not runs[each["input"]]
        ]  # fmt: skip
        results = Counter(value for _, name, value in self.flyte.events(PACK) if name == "Done")
        once = [line.split()[1] for line in lines(self.folder / "runs") if line[:5] != "again"]
        twice = [*_repeated(Counter(once)), *_repeated(results)]
        raised, accepted = self.raised(), set(_numbers(self.folder / "accepted"))
        return Reckoning(
            actions=len(actions),
            events=len(accepted),
            lost=tuple(json.dumps(each) for each in pending if each not in in_gap),
            gap=len(in_gap),
            twice=tuple(twice),
            events_lost=tuple(sorted(accepted - set(raised))),
            repeated=sum(raised.values()) - len(raised),
            parked=sum(state == "parked" for state in journal.values()),
        )


def _repeated(counts: Counter[str]) -> list[str]:
    return [each for each, times in counts.items() if times > 1]


def _flow(command: str) -> dict[str, Any]:
    event = {"packName": KIT_PACK, "name": command}
    wanted = {"packName": PACK, "name": command, "input": "{{ Event.Payload }}"}
    return {"name": command, "steps": [{"id": "run", "event": event, "command": wanted}]}
