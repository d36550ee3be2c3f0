"""Large pieces of memory go back to the system."""

import ctypes
import platform

import pytest

from flyte_host.large_blocks import give_back_large_blocks


def test_glibc_gives_large_blocks_back() -> None:
    assert give_back_large_blocks() == (platform.libc_ver()[0] == "glibc")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not give_back_large_blocks()
