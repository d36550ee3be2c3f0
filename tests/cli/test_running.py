"""``flyte-host run`` as a process: what a signal ends, and what others cannot read."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.own_packs import disabled_packs

# Each sleeper holds the fifo open: its reader sees the end when the last one is gone.
STARTER = """
import subprocess

from flyte_host import Command, EventDef, PackDef, fatal_event, hookimpl

DUMPABLE = EventDef("Dumpable")

def dumpable(input):
    import ctypes
    return DUMPABLE(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Starter", commands=[
            Command("start", self.start, []), Command("dumpable", dumpable, [DUMPABLE])
        ])

    def start(self, input: str):
        script = f"exec 3>{input}; sleep 300 & sleep 300 & echo begun >&3; wait"
        subprocess.run(["bash", "-c", script], start_new_session=True)
        return fatal_event("over")
"""


@pytest.mark.parametrize("isolation", ["", 'isolation = "process"\n'], ids=["here", "in a process"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds them in /proc")
def test_a_signal_ends_what_the_command_started(
    installed: Callable[..., Path],
    flyte_host_environ: dict[str, str],
    tmp_path: Path,
    isolation: str,
    number: signal.Signals,
) -> None:
    installed("starter", STARTER)
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    (tmp_path / "flyte-host.toml").write_text(
        f"{disabled_packs()}\n[packs.starter]\n{isolation}", encoding="utf-8"
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "flyte_host", "run", "starter", "start", f'"{fifo}"'],
        cwd=tmp_path,
        env=flyte_host_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with running, os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb", 0) as held:
        wait_until(lambda: held.read() == b"begun\n", "the command started a process")
        running.send_signal(number)
        # None as long as somebody holds it open.
        wait_until(lambda: held.read() == b"", "all that was started ended")
        assert running.wait(PATIENCE_SECONDS) == -number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hide it")
def test_the_memory_and_environment_of_a_run_are_hidden(
    installed: Callable[..., Path], flyte_host: Callable[..., CompletedProcess[str]]
) -> None:
    installed("starter", STARTER)
    ran = flyte_host("run", "starter", "dumpable", "null")
    assert json.loads(ran.stdout) == {"event": "Dumpable", "payload": 0}


# The handler is far behind when the command ends.
LISTENER = """
import logging
import threading

from flyte_host import Command, PackDef, hookimpl

class Diary(logging.FileHandler):
    def handle(self, record):
        threading.Event().wait(0.3)
        super().handle(record)

class plugin:
    @hookimpl
    def flyte_pack(self):
        logging.getLogger().addHandler(Diary("diary"))
        return PackDef("Keeper", commands=[Command("divide", lambda input: 1 / 0, [])])
"""


def test_a_log_handler_of_a_plugin_hears_the_last_line(
    installed: Callable[..., Path], flyte_host: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    installed("keeper", LISTENER)
    ended = flyte_host("run", "keeper", "divide", "null")
    assert "command divide failed" in ended.stderr
    assert "command divide failed" in (tmp_path / "diary").read_text()
