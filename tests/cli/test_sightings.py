"""Changes of executions are reported once, and none is missed."""

from datetime import UTC, datetime

from flyte_host.cli.sightings import Sightings


def test_what_comes_in_the_same_millisecond_is_news() -> None:
    seen = Sightings(datetime(2026, 1, 1, 12, 0, 0, 819_700, tzinfo=UTC))
    assert seen.since == datetime(2026, 1, 1, 12, 0, 0, 819_000, tzinfo=UTC)
