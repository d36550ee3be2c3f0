"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_schedule import SchedulePack


def test_events_arrive_in_flyte(flyte_server: Any, flyte_run_host: Callable[..., Any]) -> None:
    schedules = {"each": {"cron": "* * * * * *", "event": "Second", "payload": [1]}}
    settings = {"schedules": schedules}
    flyte_run_host({"schedule": SchedulePack}, packs={"schedule": {"settings": settings}})
    payload = flyte_server.wait_for_event("Schedule", "Second")
    assert (payload["schedule"], payload["payload"]) == ("each", [1])
