import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from .jira_stand_in import PASSWORD, USER, Jira

Result = tuple[str, Any]


@pytest.fixture
def call(flyte_call: Callable[..., Any]) -> Callable[[JiraPack, str, Any], Result]:
    """Run a command of a pack and give back the event's name and payload as flows see them."""

    def run(pack: JiraPack, command: str, document: Any) -> Result:
        called = flyte_call(pack, command, document)
        return called.name, called.payload

    return run


@pytest.fixture
def jira() -> Iterator[Jira]:
    with Jira() as served:
        yield served


@pytest.fixture
def pack(jira: Jira) -> JiraPack:
    return JiraPack(JiraSettings(jira.url, USER, PASSWORD), {})


@pytest.fixture
def strict_pack(jira: Jira) -> JiraPack:
    """The pack without the Go pack's mistakes."""
    return JiraPack(JiraSettings(jira.url, USER, PASSWORD, go_compatible=False), {})


@pytest.fixture
def unreached_pack() -> JiraPack:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return JiraPack(JiraSettings(f"http://127.0.0.1:{port}", USER, PASSWORD), {})
