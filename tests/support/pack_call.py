"""The fixture by which tests of packs call a command."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def call(flyte_call: Callable[..., Any]) -> Callable[..., tuple[str, Any]]:
    """Run a command of a pack and give back the event's name and payload as flows see them."""

    def run(pack: object, command: str, document: Any) -> tuple[str, Any]:
        called = flyte_call(pack, command, document)
        return called.name, called.payload

    return run
