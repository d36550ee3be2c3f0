import threading
from pathlib import Path

import pytest

from flyte_host.dev.folder_watch import FolderWatch
from flyte_host.errors import FlyteHostError


def test_a_folder_that_cannot_be_watched(tmp_path: Path) -> None:
    changes = FolderWatch(tmp_path / "gone").changes(threading.Event())
    with pytest.raises(FlyteHostError, match="gone cannot be watched: "):
        next(changes)


def test_it_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    assert list(FolderWatch(tmp_path).changes(stopping)) == []
