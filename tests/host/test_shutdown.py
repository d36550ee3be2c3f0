"""A signal is noticed however it comes; the rest of ``signals`` is in ``test_host.py``."""

import signal
import subprocess
import sys

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
