"""What can be wrong with flyte, each kind with its own reaction and its own words."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.host.host import Host
from flyte_host.secrets import Scrubber
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config, install
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.host_parts import ECHO, PackPlugin, flyte_script
from tests.support.scripted_server import CLOSE, ScriptedServer, Seen, reply

TAKE = "POST /v1/packs/Demo/actions/take"
REGISTER = "POST /v1/packs"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo")
        yield running


@pytest.fixture
def host(server: ScriptedServer, tmp_path: Path) -> Iterator[Callable[[], RunningHost]]:
    made: list[RunningHost] = []

    def start() -> RunningHost:
        config = host_config(server.url, tmp_path / "state.db", {}, {"poll_interval_seconds": 0.05})
        plugins = install({"demo": PackPlugin(ECHO)})
        made.append(RunningHost(Host(config, plugins, os.environ, Scrubber())))
        made[-1].host.start()
        return made[-1]

    yield start
    for each in made:
        each.stop(0)


KINDS: dict[str, tuple[str, Any, str, str, str]] = {
    "contention": (
        TAKE, reply(500), "polling", "was answered with 500, 8 times in a row",
        "was answered with 500, 8 times in a row",
    ),
    "outage": (TAKE, CLOSE, "flyte", "not reachable: ", "flyte is away: "),
    "expired token": (
        TAKE, reply(401, WWW_Authenticate='Bearer error="invalid_token"'), "polling",
        "was answered with 401: flyte says the token is invalid or expired",
        "flyte says the token is invalid or expired",
    ),
    "forgotten pack": (
        TAKE, reply(404), "registered", "flyte forgot the pack; it is registered again",
        "flyte no longer knows pack Demo; registering it again",
    ),
    "bad answer": (
        TAKE, reply(200, b"<html>"), "polling", "expected an action as JSON, found 6 bytes",
        "expected an action as JSON, found 6 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_trouble_has_its_own_words(
    server: ScriptedServer,
    host: Callable[[], RunningHost],
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    request, answer, line, in_ready, in_log = KINDS[kind]
    running = host()
    running.wait_ready()
    known_again = threading.Event()

    def late(_: Seen) -> bytes:
        assert known_again.wait(PATIENCE_SECONDS)
        return reply(500)

    if kind == "forgotten pack":
        server.on(REGISTER, [late])
    server.on(request, answer)
    seen: list[str] = []

    def shown() -> bool:
        seen[:] = [f"{name}: {each['reason']}" for name, each in
                   running.page("/ready")[1]["checks"].items()]  # fmt: skip
        return any(each.startswith(f"{line}: ") and in_ready in each for each in seen)

    try:
        wait_until(shown, "ready says so")
    except AssertionError:
        raise AssertionError(f"{seen} {caplog.messages}") from None
    wait_until(lambda: any(in_log in each for each in caplog.messages), "the log says so")
    flyte_script(server, "Demo")
    known_again.set()
    running.wait_ready(30)
