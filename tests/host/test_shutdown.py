"""A signal is noticed however it comes; the rest is in ``test_host.py``."""

import signal
import subprocess
import sys

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS

ASKED_IN_ANOTHER_THREAD = """
import signal, threading
from flyte_host.host.shutdown import catch_stop

def ask():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

with catch_stop() as request:
    threading.Timer(0.2, ask).start()
    request.wait()
    print("asked", request.caught, flush=True)
"""


def test_a_signal_that_another_thread_gets() -> None:
    """The kernel may give it to any thread; that does not end what the main thread waits for."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED_IN_ANOTHER_THREAD],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.stdout == f"asked {signal.SIGTERM:d}\n"
    assert done.returncode == -signal.SIGTERM


HANG_UP = """
import os, signal, sys
from flyte_host.host.shutdown import catch_stop

with catch_stop() as request:
    for number in sys.argv[1:]:
        os.kill(os.getpid(), int(number))
    request.wait()
    print("asked", request.caught, flush=True)
"""
SIGHUP, SIGTERM = signal.SIGHUP, signal.SIGTERM


@pytest.mark.parametrize(
    ("under", "numbers"), [([], [SIGHUP]), (["nohup"], [SIGHUP, SIGTERM])], ids=["plain", "nohup"]
)
def test_a_terminal_that_closes_asks_for_a_stop_unless_that_is_ignored(
    under: list[str], numbers: list[int]
) -> None:
    command = [*under, sys.executable, "-c", HANG_UP, *(str(int(each)) for each in numbers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (-numbers[-1], f"asked {numbers[-1]:d}\n")
