"""Connections that do nothing, by the hundred: health pages and flyte answer as without them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.idle_crowd import IdleCrowd
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

SOAK_SECONDS = 75
"""Longer than a body may take, so that every dripping connection is closed and comes again."""
LIVE_SECONDS = 5.0
API_SECONDS = 10.0
"""Generous: what these tests are for took minutes. The figures that they print are the point."""


@pytest.fixture
def host(tmp_path: Path, flyte_host_environ: dict[str, str]) -> Iterator[Serving]:
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nlisten = '127.0.0.1:0'\n[health]\nlisten = '127.0.0.1:0'\n"
        + disabled_packs()
    )
    with Serving(tmp_path, flyte_host_environ) as serving:
        serving.wait_ready()
        yield serving


class Questions:
    """What is asked of both servers, each time on a new connection, and how long it took."""

    def __init__(self, host: Serving) -> None:
        flyte = f"{host.flyte_url}/v1"
        small = {"event": "Go", "payload": "x"}
        large = {"event": "Go", "payload": "x" * 700_000}
        self._asked: dict[str, tuple[str, Callable[[], requests.Response]]] = {
            "/live": ("live", lambda: _get(f"{host.health_url}/live")),
            "/ready": ("api", lambda: _get(f"{host.health_url}/ready")),
            "packs": ("api", lambda: _get(f"{flyte}/packs")),
            "a small event": ("api", lambda: _post(f"{flyte}/packs/P/events", small)),
            "an event of 700 kB": ("api", lambda: _post(f"{flyte}/packs/P/events", large)),
            "a take": ("api", lambda: _post(f"{flyte}/packs/P/actions/take", None)),
        }
        assert _post(f"{flyte}/packs", {"name": "P"}).status_code == 201
        self.seconds: dict[str, list[float]] = {name: [] for name in self._asked}

    def ask(self) -> None:
        for name, (_, ask) in self._asked.items():
            before = time.monotonic()
            assert ask().ok
            self.seconds[name].append(time.monotonic() - before)

    def slowest(self, kind: str) -> float:
        return max(
            max(self.seconds[name]) for name, (each, _) in self._asked.items() if each == kind
        )


def _get(url: str) -> requests.Response:
    return requests.get(url, timeout=PATIENCE_SECONDS)


def _post(url: str, document: Any) -> requests.Response:
    return requests.post(url, json=document, timeout=PATIENCE_SECONDS)


def test_idle_and_dripping_connections_keep_nobody_from_an_answer(host: Serving) -> None:
    """More of them than the servers have threads, and more large bodies than there is room for."""
    questions = Questions(host)
    with IdleCrowd([host.health_url, host.flyte_url], idle=75, dripping=45):
        for _ in range(3):
            questions.ask()


def test_more_connections_than_are_allowed_push_each_other_out(host: Serving) -> None:
    """The oldest idle one makes room, so that every new one is answered."""
    questions = Questions(host)
    with ExitStack() as crowds:
        for _ in range(4):
            crowds.enter_context(IdleCrowd([host.health_url], idle=400))
        questions.ask()


@pytest.mark.soak
def test_a_thousand_idle_and_two_hundred_dripping_connections(host: Serving) -> None:
    questions = Questions(host)
    questions.ask()
    alone = {name: seconds[0] for name, seconds in questions.seconds.items()}
    urls = [host.health_url, host.flyte_url]
    with IdleCrowd(urls, idle=1000, dripping=200) as crowd:
        end = time.monotonic() + SOAK_SECONDS
        while time.monotonic() < end:
            questions.ask()
    assert crowd.closed >= 400, "each dripping one was given up, and came again"
    for name, seconds in questions.seconds.items():
        words = f"{name:20} alone {alone[name]:.3f} s, in the crowd at most {max(seconds):.3f} s"
        sys.stdout.write(f"\n{words}, {len(seconds)} times")
    assert questions.slowest("live") < LIVE_SECONDS
    assert questions.slowest("api") < API_SECONDS
