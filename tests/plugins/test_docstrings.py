"""What plugins say about themselves, read from their source without importing it."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flyte_host.plugins.docstrings import Docstrings, docstring_of, read_docstrings


class CalledHandler:
    """Not about the call."""

    def __call__(self, input: Any) -> None:
        """About the call."""


class SilentHandler:
    """Not about the call."""

    def __call__(self, input: Any) -> None: ...


def handle(input: Any) -> None:
    """Handle it."""


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (handle, "Handle it."),
        (partial(handle, input=1), "Handle it."),
        (CalledHandler(), "About the call."),
        (SilentHandler(), ""),
        (lambda _: None, ""),
    ],
)
def test_the_docstring_of_what_is_called(handler: Any, said: str) -> None:
    assert docstring_of(handler) == said


def test_a_package_is_read_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "documented_package"
    package.mkdir()
    (package / "__init__.py").write_text('class Pack:\n    """A pack."""\n    raise SystemExit\n')
    (package / "events.py").write_text(
        'DONE = EventDef("Done")\n"""It is\n   done."""\nX = f()\n""""""'
    )
    (package / "settings.py").write_text(
        'class S:\n    url: str = ""\n    """Where."""\n    b: int\n'
    )
    (package / "broken.py").write_text("def")
    (package / "bytes.py").write_bytes(b"\0")
    monkeypatch.syspath_prepend(tmp_path)
    found = read_docstrings("documented_package.events:Pack")
    assert found.classes == {"Pack": "A pack.", "S": ""}
    assert found.fields == {("S", "url"): "Where."}
    assert found.events == {"Done": "It is\ndone."}
    assert "documented_package" not in sys.modules


@pytest.mark.parametrize("target", ["", "no_such_package:x", "sys:path", "..:x"])
def test_what_has_no_source_says_nothing(target: str) -> None:
    assert read_docstrings(target) == Docstrings()
