from collections.abc import Iterator
from typing import Any

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from tests.support.bad_servers import closed_port

from .jira_stand_in import PASSWORD, USER, Jira

Result = tuple[str, Any]


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
    return JiraPack(JiraSettings(f"http://127.0.0.1:{closed_port()}", USER, PASSWORD), {})
