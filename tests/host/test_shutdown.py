"""A signal is noticed however it comes; the rest is in ``test_host.py``."""

import signal

import pytest

from tests.support.script import run_script

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
    done = run_script(ASKED_IN_ANOTHER_THREAD, status=-signal.SIGTERM)
    assert done.stdout == f"asked {signal.SIGTERM:d}\n"


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
    done = run_script(HANG_UP, *map(int, numbers), status=-numbers[-1], under=under)
    assert done.stdout == f"asked {numbers[-1]:d}\n"
