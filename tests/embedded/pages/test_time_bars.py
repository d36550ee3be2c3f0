"""Bars of an execution whose times do not follow each other."""

from datetime import UTC, datetime, timedelta

from flyte_host.embedded.pages.time_bars import LABEL_WIDTH, draw_time_line
from flyte_host.records.execution_record import ActionRecord, StateRecord

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_clock_that_was_set_back_makes_no_bar_shorter_than_nothing() -> None:
    times = {"NEW": NOW, "PENDING": NOW - timedelta(days=1), "SUCCESS": NOW - timedelta(days=2)}
    states = [StateRecord(value, time) for value, time in times.items()]
    [bar] = draw_time_line([ActionRecord("1", "Do", "P", states[-1], states=states)], NOW)
    assert bar.words == "queued 1 d 0 h, ran 0.00 s"
    assert bar.ran_width > 0
    assert bar.x >= LABEL_WIDTH
