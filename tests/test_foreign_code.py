"""Plugin code runs with a time limit, and what it did wrong is described."""

import functools
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from flyte_host.foreign_code import (
    ForeignCall,
    Misbehaved,
    call_within,
    describe,
    headline,
    place_of_thread,
)

HERE = r" \(tests/test_foreign_code\.py:\d+\)"


class ErrorWithoutText(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class ExitingText(Exception):
    def __str__(self) -> str:
        raise SystemExit(7)


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("too long"), "ValueError: too long"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "called sys.exit(3)"),
        (SystemExit(), "called sys.exit()"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ErrorWithoutText(), "ErrorWithoutText: (its message cannot be shown)"),
        (ExitingText(), "ExitingText: (its message cannot be shown)"),
        (OSError("no file \udcff"), "OSError: no file \\udcff"),
        (
            ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [KeyError("b")])]),
            "ExceptionGroup: two (2 sub-exceptions): ValueError: a; KeyError: 'b'",
        ),
        (
            BaseExceptionGroup("many", [KeyboardInterrupt(), *[OSError(7)] * 3]),
            (
                "BaseExceptionGroup: many (4 sub-exceptions): KeyboardInterrupt; OSError: 7; "
                "OSError: 7; …"
            ),
        ),
    ],
)
def test_headline_of_anything(error: BaseException, text: str) -> None:
    assert headline(error) == text


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert describe(ValueError("x")) == "ValueError: x"


def test_a_result_comes_back() -> None:
    assert call_within(5, lambda: [1]) == [1]


def test_what_is_raised_is_told_with_its_place() -> None:
    with pytest.raises(Misbehaved, match=f"^ValueError: x{HERE}$") as raised:
        call_within(5, raising(ValueError("x")))
    assert isinstance(raised.value.__cause__, ValueError)


def test_frames_of_the_host_and_of_the_import_machinery_are_not_a_place() -> None:
    def importing() -> None:
        import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401, PLC0415  it is the point

    with pytest.raises(Misbehaved, match=f"anywhere'{HERE}$"):
        call_within(5, importing)
    with pytest.raises(Misbehaved, match=r"base 10: 'x'$"):
        call_within(5, functools.partial(int, "x"))
    with pytest.raises(Misbehaved, match=r"column 2 \(char 1\)$"):
        call_within(5, functools.partial(json.loads, "{,"))
    with pytest.raises(Misbehaved, match=rf"\(char 1\){HERE}$"):
        call_within(5, lambda: json.loads("{,"))


def test_an_exit_stays_in_its_thread() -> None:
    with pytest.raises(Misbehaved, match=rf"^called sys\.exit\(3\){HERE}$"):
        call_within(5, lambda: sys.exit(3))


def test_misbehaviour_found_inside_keeps_its_words() -> None:
    with pytest.raises(Misbehaved, match=r"^no list$"):
        call_within(5, raising(Misbehaved("no list")))


def test_a_hanging_call_is_told_with_the_line_at_which_it_hangs() -> None:
    release = threading.Event()
    running = ForeignCall(lambda: release.wait(30))
    with pytest.raises(Misbehaved) as raised:
        running.result(0.05)
    text = str(raised.value)
    assert text.startswith("did not return within 0.05 s (at tests/test_foreign_code.py:")
    assert text.endswith(": running = ForeignCall(lambda: release.wait(30)))")
    assert not running.ended
    release.set()
    assert running.result(30) is True
    assert running.ended


def test_the_limit_counts_from_the_start_of_the_call() -> None:
    release = threading.Event()
    running = ForeignCall(lambda: release.wait(30))
    with pytest.raises(Misbehaved):
        running.result(1)
    waited = threading.Event()

    def ask_again() -> None:
        with pytest.raises(Misbehaved, match=r"did not return within 1 s"):
            running.result(1)
        waited.set()

    threading.Thread(target=ask_again, daemon=True).start()
    assert waited.wait(0.8), "a second question must not wait again"
    release.set()


def test_a_thread_that_ended_has_no_place() -> None:
    thread = threading.Thread(target=lambda: None)
    assert place_of_thread(thread) == ""
    thread.start()
    thread.join()
    assert place_of_thread(thread) == ""


def test_code_without_source_is_placed_by_file_and_line() -> None:
    release = threading.Event()
    names: dict[str, Any] = {"release": release}
    exec(compile("def hang():\n    release.wait()\n", "/somewhere/made/up.py", "exec"), names)
    with pytest.raises(Misbehaved, match=r"^did not return within 0\.5 s \(at made/up\.py:2\)$"):
        call_within(0.5, names["hang"])
    release.set()
