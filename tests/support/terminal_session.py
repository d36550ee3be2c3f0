"""Makes the picture of a terminal from a real run: ``python -m tests.support.terminal_session``.

Owns what is typed and how it looks. Needs the port of embedded flyte, 8080.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT
from tests.support.dev_run import DevRun

PICTURE = ROOT / "docs" / "images" / "new-and-dev.svg"
WIDTH = 116
EVENT = """flyte-host event Chat Said '{"by": "Ada", "text": "Hello"}' --register --watch"""
BREAK = "sed -i 's/found\\[: input/fund[: input/' flyte_pack_pager/pack.py"
MEND = "sed -i 's/fund\\[: input/found[: input/' flyte_pack_pager/pack.py"
FONT = re.compile(r"\s*@font-face {{.*?}}\n", re.DOTALL)
"""Loaded from elsewhere: a picture in a repository must not call home."""
LEFT_OUT = ("registered pack", "health pages", "stored flow", "stopping:", "stopped", "on 2")
"""Lines of start and stop that do not fit into a small picture."""
STYLES = {"ERROR": "bold red", "WARNING": "yellow", "Traceback": "red"}


class TerminalSession:
    """The screen so far; commands run in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self.folder = folder
        self.lines: list[tuple[str, str]] = []

    def run(self, command: str, prompt: str = "$", *, shows: bool = True) -> None:
        """Type a command; its output follows if ``shows``."""
        self.type(command, prompt)
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder, env=os.environ | {"PATH": programs}, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        self.show(done.stdout.splitlines() if shows else [])
        assert not done.stderr, done.stderr

    def type(self, command: str, prompt: str = "$") -> None:
        self.lines.append(("bold green", f"{prompt} {command}"))

    def show(self, lines: list[str]) -> None:
        for line in lines:
            word = next((word for word in line.split() if word in STYLES), "")
            text = line.rstrip("\n").replace(str(self._home), "~")
            self.lines.append((STYLES.get(word, ""), text))

    def picture(self) -> str:
        """The screen as SVG."""
        console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
        for style, line in self.lines:
            console.print(Text(line, style=style, no_wrap=True, overflow="ellipsis"))
        return console.export_svg(
            title="flyte-host new and dev",
            theme=MONOKAI,
            code_format=FONT.sub("\n", CONSOLE_SVG_FORMAT),
            unique_id="terminal",
        )


def record(session: TerminalSession) -> None:
    """A new pack, its tests, an event, an edit that breaks it and one that repairs it."""
    session.run("flyte-host new Pager | tail -1")
    session.run("cd flyte-pack-pager", shows=False)
    session.folder = session.folder / "flyte-pack-pager"
    session.run("python -m pytest -q")
    session.type("flyte-host dev .")
    with DevRun(session.folder, listen="127.0.0.1:8080") as running:
        running.wait_for("registered as Pager")
        running.offered()
        seen = _show_new(session, running, 0)
        for edit, times in ((BREAK, 2), (MEND, 3)):
            session.run(f"{EVENT} | tail -1", "other terminal $")
            running.wait_for("FATAL of Pager" if times == 3 else "NotesFound of Pager")
            seen = _show_new(session, running, seen)
            session.run(edit, "other terminal $")
            running.wait_for("registered as Pager", times)
            seen = _show_new(session, running, seen)


def _show_new(session: TerminalSession, running: DevRun, seen: int) -> int:
    lines = running.lines[seen:]
    session.show([line for line in lines if not any(part in line for part in LEFT_OUT)])
    return seen + len(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        this = TerminalSession(Path(home))
        record(this)
        PICTURE.write_text(this.picture(), encoding="utf-8")
