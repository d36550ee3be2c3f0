"""A journal, and where it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_host.clock import Clock
from flyte_host.pipeline.journal.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flyte-host.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, Clock())
    yield opened
    opened.close()
