"""Flytes behind a load balancer and hosts of one pack, on one store: each is a process.

Owns how they start, are killed and come back, and which handler started on which host. What is
expected of them is for tests to say.
"""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.balancer import Balancer
from tests.support.own_packs import disabled_packs
from tests.support.scripted_server import port_of_nobody
from tests.support.serving import Serving

QUIET = ("--log-level", "warning")
STEPS = 5
PLUGIN = """
import os
import threading
from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")
PAUSE = threading.Event()

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Chain", commands=[
            Command(f"step{number}", self.run, [DONE]) for number in range(5)
        ])

    def run(self, input, action):
        # One write to the end of a file: whole, whatever else is written.
        file = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.environ['HOST']} {action.id}\\n".encode())
        os.close(file)
        PAUSE.wait(0.02)  # so that kills meet some that run
        while os.path.exists(os.environ["HELD"]):
            PAUSE.wait(0.02)
        return Event(DONE, input)
"""
_STEP = """
- id: s{number}
  dependsOn: {before}
  event: {{packName: {pack}, name: {event}}}
  command: {{packName: Chain, name: step{number}, input: some}}
"""


def chain(steps: int) -> str:
    """A flow whose steps follow each other, at most :data:`STEPS`."""
    first = _STEP.format(number=0, before=[], pack="Source", event="Go")
    later = [
        _STEP.format(number=number, before=[f"s{number - 1}"], pack="Chain", event="Done")
        for number in range(1, steps)
    ]
    return "".join(["name: chain\nsteps:", first, *later])


class Fleet:
    """Started by ``with``, killed at its end. ``PLUGIN`` has to be installed as "chain".

    Members are numbered, the flytes first.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        store: Path | str,
        *,
        numbers: tuple[int, int],
        steps: int = STEPS,
        config: str = "",
    ) -> None:
        self.flytes, self.hosts = numbers
        self._folder = folder
        self._environ = {
            **environ,
            "STARTED": str(folder / "started"),
            "HELD": str(folder / "held"),
        }
        self._store = str(store)
        self._held = ExitStack()
        self._ports = [self._held.enter_context(port_of_nobody()) for _ in range(self.flytes)]
        self._balancer = Balancer(self._ports)
        self.members: list[Serving] = []
        (folder / "chain.yaml").write_text(chain(steps), encoding="utf-8")
        text = f'[health]\nlisten = "127.0.0.1:0"\n{config}\n{disabled_packs()}'
        for number in range(self.hosts):
            self.place(number).mkdir()
            (self.place(number) / "flyte-host.toml").write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        self._balancer.start()
        self.members = [self._make(number) for number in range(self.flytes + self.hosts)]
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.__exit__()
        self._balancer.stop()
        self._held.close()

    @property
    def url(self) -> str:
        """Where any of the flytes answers."""
        return self._balancer.url

    def place(self, host: int) -> Path:
        """The folder of a host, with its journal; hosts count from 0 here."""
        return self._folder / f"host{host}"

    def kill(self, member: int) -> None:
        killed = self.members[member]
        killed.signal(signal.SIGKILL)
        killed.ended()
        killed.__exit__()

    def start(self, member: int) -> None:
        """Start one again that was killed, as a supervisor would."""
        self.members[member] = self._make(member)

    def revive(self) -> None:
        """Start what ended because it could not reach the database when it started."""
        for number, member in enumerate(self.members):
            if not member.runs:
                member.__exit__()
                self.start(number)

    def hold(self) -> None:
        """Handlers that start do not end until :meth:`release`."""
        Path(self._environ["HELD"]).touch()

    def release(self) -> None:
        Path(self._environ["HELD"]).unlink()

    def started(self) -> Counter[str]:
        """How often a handler started, by action."""
        return Counter(action for _, action in self._lines())

    def shares(self) -> Counter[int]:
        """How many handlers started, by host."""
        return Counter(int(host) for host, _ in self._lines())

    def host_of(self, action: str) -> int:
        """On which host the handler of an action started."""
        return int(next(host for host, each in self._lines() if each == action))

    def raise_events(self, number: int, is_open: Callable[[], bool] = lambda: True) -> int:
        """Raise events until flyte accepted this many; one without an answer is raised again."""
        accepted = 0
        with requests.Session() as session:
            session.trust_env = False
            while accepted < number and is_open():
                body: dict[str, Any] = {"event": "Go", "payload": accepted}
                try:
                    answer = session.post(
                        f"{self.url}/v1/packs/Source/events", json=body, timeout=PATIENCE_SECONDS
                    )
                    if answer.status_code == 404:
                        session.post(f"{self.url}/v1/packs", json={"name": "Source"}, timeout=20)
                    accepted += answer.status_code == 202
                except requests.RequestException:
                    threading.Event().wait(0.05)
        return accepted

    def _lines(self) -> list[list[str]]:
        path = Path(self._environ["STARTED"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines]

    def _make(self, member: int) -> Serving:
        if member < self.flytes:
            listen = f"127.0.0.1:{self._ports[member]}"
            options = ("--listen", listen, "--store", self._store, "--flows", "chain.yaml")
            return Serving(self._folder, self._environ, *options, *QUIET, command=("flyte",))
        host = member - self.flytes
        environ = {**self._environ, "FLYTE_API": self.url, "HOST": str(host)}
        return Serving(self.place(host), environ, *QUIET)
