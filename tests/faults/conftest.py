"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest

from tests.support.figures import Figures


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Iterator[Figures]:
    """Figures of a full run, on stdout as Markdown."""
    made = Figures()
    yield made
    with capsys.disabled():
        made.print()
