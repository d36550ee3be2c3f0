import os
import signal
from pathlib import Path

from flyte_host.dev.dev_options import DevOptions
from flyte_host.dev.dev_process import DevProcess
from tests.support.dev_run import write_echo_project


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    write_echo_project(tmp_path)
    process = DevProcess(DevOptions(tmp_path, state=tmp_path), stop_seconds=0.1)
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # then SIGTERM waits
    process.stop()
    assert process.pid is None


def test_a_stop_without_a_start_does_nothing(tmp_path: Path) -> None:
    DevProcess(DevOptions(tmp_path)).stop()
