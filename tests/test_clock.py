"""How old something is, whatever is done to the time of day."""

from datetime import UTC, datetime, timedelta

import pytest

from flyte_host.clock import Clock

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("since", "age"), [(90, 90), (0, 0), (-365 * 86_400, 0)])
def test_an_age_is_never_less_than_nothing(since: int, age: int) -> None:
    assert Clock(now=lambda: NOW).age_seconds(NOW - timedelta(seconds=since)) == age
