"""The processes that tests start end with the tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.orphans import marked

ROOT = Path(__file__).parents[1]
TESTS = """
import subprocess, sys
from tests.support.orphans import MARK, Warden
warden = Warden()
grandchild = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
subprocess.run([sys.executable, "-c", grandchild])
sys.stdin.read()
warden.dismiss()
"""


def started() -> tuple["subprocess.Popen[str]", int]:
    """A process with a warden, and its grandchild, whose parent is gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", TESTS], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def runs(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False


def test_a_killed_process_leaves_nothing() -> None:
    process, orphan = started()
    with process:
        mark = f"{os.environ['ORPHAN_OF']}{process.pid}/"
        wait_until(lambda: orphan in marked(mark), "the orphan has its mark")  # once it runs sleep
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_SECONDS)
    wait_until(lambda: not runs(orphan), "the orphan is ended")


def test_an_orderly_end_leaves_nothing() -> None:
    process, orphan = started()
    with process:
        assert runs(orphan)
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
    assert not runs(orphan)
