"""Ids sort by time and show it."""

from flyte_host.embedded.ids import Ids, made_at
from tests.embedded.conftest import MovableTime


def test_an_id_tells_when_it_was_made() -> None:
    time = MovableTime()
    assert made_at(Ids(time.clock).next()) == time().replace(microsecond=0)
    assert made_at("not-an-id") is None


def test_ids_sort_by_time() -> None:
    time = MovableTime()
    ids = Ids(time.clock)
    first = ids.next()
    time.pass_(seconds=1)
    assert first < ids.next()
