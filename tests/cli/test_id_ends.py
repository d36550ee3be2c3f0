"""An execution is found by the end of its id, or of that of one of its actions."""

from datetime import UTC, datetime

import pytest

from flyte_host.cli.id_ends import find_by_end
from flyte_host.errors import FlyteHostError
from flyte_host.records.execution_record import ActionRecord, ExecutionRecord, StateRecord

NEW = StateRecord("NEW", datetime(2026, 1, 2, tzinfo=UTC))


def execution(name: str, *actions: str) -> ExecutionRecord:
    made = {each: ActionRecord(each, "c", "P", NEW) for each in actions}
    return ExecutionRecord("f", name, actions=made)


EXECUTIONS = [execution("00aaaa", "00bbbb"), execution("01aaaa", "00cccc"), execution("02dddd")]


@pytest.mark.parametrize(
    ("end", "found"),
    [("00aaaa", "00aaaa"), ("bbbb", "00aaaa"), ("…cccc", "01aaaa"), ("2dddd", "02dddd")],
)
def test_an_end_that_one_execution_has(end: str, found: str) -> None:
    assert find_by_end(end, EXECUTIONS) == found


@pytest.mark.parametrize("end", ["eeee", "ddd", "…d"])
def test_an_end_that_none_has_or_that_is_too_short(end: str) -> None:
    with pytest.raises(FlyteHostError, match=f"^flyte has no execution '{end}'; flyte-host"):
        find_by_end(end, EXECUTIONS)


def test_an_end_that_several_have() -> None:
    words = "^ids of several executions end with 'aaaa': 00aaaa, 01aaaa$"
    with pytest.raises(FlyteHostError, match=words):
        find_by_end("aaaa", EXECUTIONS)
