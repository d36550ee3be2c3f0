"""A real ``flyte-host dev`` process for tests, with what it prints read while it runs."""

import os
import re
import shlex
import sys
import threading
from pathlib import Path
from typing import Self

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.warm_process import WarmProcess

PACK = """
from flyte_host import Command, Event, EventDef, PackDef, hookimpl

SAID = EventDef("Said")


class Pack:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Echo", commands=[Command("Say", self.say, [SAID])])

    def say(self, input: str) -> Event:
        return SAID("one " + input)
"""
PROJECT = """
[project]
name = "flyte-pack-echo"
version = "0.3"
[project.entry-points."flyte_host.packs"]
echo = "flyte_pack_echo:Pack"
"""
FLOW = """
name: echo
steps:
  - id: say
    event: {packName: Chat, name: Asked}
    command: {packName: Echo, name: Say, input: "{{ Event.Payload.text }}"}
"""


def write_echo_project(folder: Path) -> Path:
    """A project of one module and one flow; returns the module's path."""
    (folder / "flows").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "flows" / "echo.yaml").write_text(FLOW, encoding="utf-8")
    module = folder / "flyte_pack_echo.py"
    module.write_text(PACK, encoding="utf-8")
    return module


class DevRun:
    """Started by ``with``; killed at its end if the test has not ended it."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        site: Path | None = None,
        listen: str = "127.0.0.1:0",
        activated: bool = True,
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
        if activated:
            kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.lines: list[str] = []
        reads, writes = os.pipe()
        self._printed = os.fdopen(reads, encoding="utf-8")
        self._process = WarmProcess(
            ["dev", str(folder), "--listen", listen, *arguments],
            folder.parent,
            kept | ({"PYTHONPATH": str(site)} if site else {}),
            streams={1: writes, 2: writes},
        )
        os.close(writes)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        self._process.close()
        self._printed.close()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, part: str, times: int = 1) -> str:
        """The newest line with ``part``, once there are that many."""

        def look() -> str:
            found = [line for line in self.lines if part in line]
            return found[-1] if len(found) >= times else ""

        try:
            return wait_until(look, f"{times} x {part!r} in what dev prints")
        except AssertionError as error:
            raise AssertionError(f"{error}; it printed:\n{self.text}") from None

    def offered(self) -> list[str]:
        """The newest command that it offers, as words."""
        return shlex.split(self.wait_for("flyte-host event "))

    def url(self, times: int = 1) -> str:
        """Where flyte is, after that many starts."""
        found = re.search(r"http://\S+", self.wait_for("embedded flyte at", times))
        assert found is not None
        return found[0]

    def raise_event(self, words: list[str]) -> str:
        """Run the command that it offers; returns its output."""
        process = WarmProcess(words[1:], Path.cwd(), os.environ)
        return "".join(process.communicate("", PATIENCE_SECONDS))

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """The exit status, negative for a signal, once everything that it started has ended.

        The processes that it starts hold the other end of its output open.
        """
        status = self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert not self._reader.is_alive(), "a process that it started is left behind"
        return status

    def _read(self) -> None:
        self.lines.extend(iter(self._printed.readline, ""))
