"""A path that no file can have."""

import os
from pathlib import Path

import pytest


def words_for_null(path: Path) -> str:
    """Python's error when it is opened; versions differ."""
    with pytest.raises(ValueError, match="null") as refused:
        os.open(path, os.O_RDONLY)
    return str(refused.value)
