import json
import logging
import sys
from pathlib import Path

import pytest

from flyte_host.dev.author_formatter import AuthorFormatter
from flyte_host.secrets import Scrubber

HERE = Path(__file__).parent


def traceback_of(error: BaseException | None, home: Path = HERE) -> str:
    kind = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), kind)
    return AuthorFormatter(Scrubber(), home).format(record)


def fail() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        raise KeyError("first") from error


def caught() -> BaseException:
    with pytest.raises(KeyError) as raised:
        fail()
    return raised.value


def test_frames_of_libraries_are_left_out_and_those_of_causes_too() -> None:
    text = traceback_of(caught())
    assert text.count('File "') == text.count(f'File "{__file__}"') == 3
    assert "json.decoder.JSONDecodeError" in text
    assert text.endswith("KeyError: 'first'")


def test_an_error_without_a_frame_of_the_authors_has_its_last_one() -> None:
    text = traceback_of(caught(), HERE / "elsewhere")
    assert text.count('File "') == 2
    assert f'File "{json.decoder.__file__}"' in text


def test_what_is_installed_below_the_folder_is_not_the_authors() -> None:
    text = traceback_of(caught(), Path(sys.prefix).parent)
    assert "site-packages" not in text


def test_groups_are_cut_too() -> None:
    text = traceback_of(ExceptionGroup("several", [caught()]))  # type: ignore[type-var]
    assert "KeyError: 'first'" in text
    assert text.count('File "') == text.count(f'File "{__file__}"') == 3


def test_a_circle_of_causes_ends() -> None:
    error = caught()
    assert error.__cause__ is not None
    error.__cause__.__cause__ = error
    assert "KeyError" in traceback_of(error)


def test_a_line_without_an_error_is_as_usual() -> None:
    assert traceback_of(None).endswith("failed")
