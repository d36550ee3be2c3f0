"""What glibc is told about its heaps, in processes of their own: it holds for their whole life."""

import ctypes
import platform

import pytest

from flyte_host.heaps import give_back_large_blocks, share_heaps
from tests.support.script import run_script

IS_GLIBC = platform.libc_ver()[0] == "glibc"
COUNT_HEAPS = """
import ctypes, threading
from flyte_host.heaps import share_heaps
assert share_heaps()
libc, together = ctypes.CDLL(None), threading.Barrier(8)
libc.malloc.restype = ctypes.c_void_p
def allocate():
    libc.malloc(100_000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
libc.malloc_stats()
"""


def test_glibc_gives_large_blocks_back() -> None:
    assert give_back_large_blocks() == IS_GLIBC


@pytest.mark.skipif(not IS_GLIBC, reason="only glibc has a heap for each thread")
def test_threads_share_two_heaps() -> None:
    done = run_script(COUNT_HEAPS)
    assert [line for line in done.stderr.splitlines() if line.startswith("Arena")] == [
        "Arena 0:",
        "Arena 1:",
    ]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not give_back_large_blocks()
    assert not share_heaps()
