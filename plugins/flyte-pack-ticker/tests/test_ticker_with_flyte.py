"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flyte_pack_ticker import TickerPack


def test_ticks_arrive_in_flyte(flyte_server: Any, flyte_run_host: Callable[..., Any]) -> None:
    settings = {"interval_seconds": 0.2}
    flyte_run_host({"ticker": TickerPack}, packs={"ticker": {"settings": settings}})
    payload = flyte_server.wait_for_event("Ticker", "Tick")
    assert payload.keys() == {"time"}
    age = datetime.now(UTC) - datetime.fromisoformat(payload["time"])
    assert timedelta() <= age < timedelta(seconds=10)
