"""The pack in a real host at a real flyte."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_shell import ShellPack

FAILURE_IS_EXPLAINED = """
name: explain a failure
steps:
  - id: explain
    event:
      packName: Shell
      name: Output
    criteria: "{{ Event.Payload.exit_code|integer == 3 }}"
    command:
      packName: Shell
      name: Shell
      input: "echo 'it said: {{ Event.Payload.stdout }}' > FIFO"
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "held"
    os.mkfifo(path)
    return path


def test_a_flow_of_two_scripts(
    flyte_server: Any, flyte_run_host: Callable[..., Any], fifo: Path
) -> None:
    flyte_run_host({"shell": ShellPack})
    flyte_server.put_flow(FAILURE_IS_EXPLAINED.replace("FIFO", str(fifo)))
    finished = flyte_server.run("Shell", "Shell", "echo no; exit 3")
    assert (finished.state, finished.event) == ("SUCCESS", "Output")
    assert finished.payload == {"stdout": "no\n", "stderr": "", "exit_code": 3}
    assert fifo.read_text() == "it said: no\n\n"


def test_a_host_that_stops_gives_back_what_scripts_said(
    flyte_server: Any, flyte_run_host: Callable[..., Any], fifo: Path
) -> None:
    settings = {"stop_grace_seconds": 0}
    host = flyte_run_host({"shell": ShellPack}, packs={"shell": {"settings": settings}})
    action = flyte_server.queue("Shell", "Shell", f"echo begun | tee {fifo}; sleep 300")
    assert fifo.read_text() == "begun\n"
    host.stop()
    payload = flyte_server.finished(action).payload
    stderr = "flyte-pack-shell: killed because the host is stopping\n"
    assert payload == {"stdout": "begun\n", "stderr": stderr, "exit_code": -1}
