"""Ends a thread of this process as an extension may, wherever it is."""

import ctypes
import threading


def end_thread(thread: threading.Thread) -> None:
    """Raise SystemExit in it; one that waits in C hears of it when the wait is over."""
    number, error = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error) == 1


def find_thread(name: str) -> threading.Thread:
    [found] = [each for each in threading.enumerate() if each.name == name]
    return found
