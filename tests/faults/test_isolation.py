"""Packs in their own processes, in a running host: which part pays, and which continues."""

import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.control.controls import Controls
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.conftest import Run
from tests.support.figures import Figures
from tests.support.host_parts import ECHO, PackPlugin
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

RunHost = Callable[..., RunningHost]
TRIED = {"tried": "tests.support.isolated_pack:Pack"}
OWN = {"tried": {"isolation": "process"}}
ROOT = Path(__file__).parents[2]


def ready_line(host: RunningHost) -> dict[str, Any]:
    line: dict[str, Any] = host.page("/ready")[1]["checks"]["processes"]
    return line


def test_a_crash_is_the_fatal_of_its_action_alone(
    flyte_server: FlyteServer, flyte_run_host: RunHost, tmp_path: Path
) -> None:
    host = flyte_run_host({**TRIED, "calm": PackPlugin(ECHO, name="Calm")}, OWN)
    assert ready_line(host)["reason"] == "1 plugin has a process of its own"
    before = flyte_server.run("Tried", "where")
    died = flyte_server.run("Tried", "segfault")
    assert (died.state, died.payload) == (
        "FATAL",
        "the pack's process ended (signal 11, SIGSEGV) while this command was running",
    )
    line = ready_line(host)
    assert line["healthy"] is False
    assert line["reason"].startswith("tried: its process ended (signal 11, SIGSEGV); it starts ")
    scraped = requests.get(host.health_url + "/metrics", timeout=PATIENCE_SECONDS).text
    assert 'flyte_host_plugin_process_deaths_total{pack="tried"} 1.0' in scraped
    assert 'flyte_host_plugin_process_running{pack="tried"} 0.0' in scraped
    assert 'flyte_host_plugin_process_running{pack="calm"}' not in scraped
    assert flyte_server.run("Calm", "echo", 1).payload == 1
    after = flyte_server.run("Tried", "where")
    assert (after.state, after.event) == ("SUCCESS", "Out")
    assert after.payload != before.payload
    host.wait_ready()


def test_an_interpreter_that_is_kept_is_not_that_of_other_packs(
    flyte_server: FlyteServer, flyte_run_host: RunHost, tmp_path: Path
) -> None:
    plugins = {**TRIED, "calm": PackPlugin(ECHO, name="Calm")}
    host = flyte_run_host(plugins, OWN, poll_interval_seconds=0.1)
    mark = tmp_path / "hogs"
    flyte_server.queue("Tried", "hog", str(mark))
    wait_until(mark.exists, "the interpreter is kept")
    for number in range(20):
        assert flyte_server.run("Calm", "echo", number).payload == number
    journal = host.host.parts.journal
    wait_until(lambda: journal.left() == 1, "all but one are written down as delivered")
    assert host.stop(drain_seconds=0) == 1


def test_a_process_whose_slots_are_all_stuck_is_replaced(
    flyte_server: FlyteServer,
    flyte_run_host: RunHost,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    packs = {"tried": {**OWN["tried"], "max_concurrent": 1}}
    host = flyte_run_host(TRIED, packs, poll_interval_seconds=0.1)
    stuck = flyte_server.run("Tried", "slow", str(tmp_path / "stuck"))
    assert stuck.payload == "command 'slow' did not finish within 1 s"
    assert flyte_server.run("Tried", "echo", "again").payload == "again"
    assert "its process is killed: 1 handler is still running past its timeout" in caplog.text
    host.wait_ready()


def test_ctl_starts_a_process_at_once_that_would_wait(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    host = flyte_run_host(TRIED, OWN, poll_interval_seconds=0.1)
    ctl = Controls(host.host.parts)
    assert ctl.answer({"do": "status"})["packs"][0]["problem"] is None
    process = host.host.parts.served.packs["tried"].process
    assert process is not None
    for _ in range(6):
        flyte_server.run("Tried", "die", 9)
        ctl.answer({"do": "resume", "pack": "tried"})
        wait_until(lambda: process.child is not None or process.quarantined, "it continues")
    wait_until(lambda: process.child is None and process.quarantined, "it is quarantined")
    [state] = ctl.answer({"do": "status"})["packs"]
    assert "quarantined" in state["problem"]
    assert "quarantined" in ready_line(host)["reason"]
    ctl.answer({"do": "resume", "pack": "tried"})
    assert flyte_server.run("Tried", "echo", 1).payload == 1


def test_events_of_an_observer_there_reach_flyte(
    flyte_server: FlyteServer, flyte_run_host: RunHost, tmp_path: Path
) -> None:
    settings = {"tried": {**OWN["tried"], "settings": {"folder": str(tmp_path)}}}
    host = flyte_run_host(TRIED, settings)
    wait_until(lambda: len(flyte_server.events("Tried.a.b")) == 3, "its events are in flyte")
    host.stop()
    assert tmp_path.joinpath("stopped").exists()


@dataclass
class Kills:
    """The outcome of actions whose pack's process was killed repeatedly."""

    succeeded: int = 0
    fatal: int = 0
    calm: int = 0
    seconds: list[float] = field(default_factory=list)


def killed_at_random(
    flyte: FlyteServer, host: RunningHost, folder: Path, times: int, seed: int
) -> Kills:
    """Kill the process under load; raises if an action has no end, or ran twice."""
    rng = random.Random(seed)
    process = host.host.parts.served.packs["tried"].process
    assert process is not None
    kills = Kills()
    marks = folder / "marks"
    for _ in range(times):
        child = wait_until(lambda: process.child, "it runs")
        tried = [flyte.queue("Tried", "mark", str(marks)) for _ in range(6)]
        calm = flyte.queue("Calm", "echo", 1)
        threading.Event().wait(rng.uniform(0, 0.03))
        os.kill(child.pid, signal.SIGKILL)
        began = time.monotonic()
        kills.calm += flyte.finished(calm).payload
        wait_until(lambda: process.child is None, "its end is noticed", look_seconds=0.001)
        process.start_now()
        for each in tried:
            found = flyte.finished(each)
            kills.succeeded += found.state == "SUCCESS"
            kills.fatal += "process ended (signal 9, SIGKILL)" in str(found.payload)
        kills.seconds.append(time.monotonic() - began)
    ran = marks.read_text().split()
    assert len(ran) == len(set(ran)), "an action ran twice"
    assert (kills.succeeded + kills.fatal, kills.calm) == (6 * times, times)
    assert kills.succeeded <= len(ran)
    return kills


def test_a_few_kills_under_load(
    flyte_server: FlyteServer, flyte_run_host: RunHost, tmp_path: Path
) -> None:
    plugins = {**TRIED, "calm": PackPlugin(ECHO, name="Calm")}
    host = flyte_run_host(plugins, OWN, poll_interval_seconds=0.1)
    kills = killed_at_random(flyte_server, host, tmp_path, times=5, seed=1)
    assert kills.fatal


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_300_kills_under_load(
    flyte_server: FlyteServer, flyte_run_host: RunHost, tmp_path: Path, figures: Figures
) -> None:
    plugins = {**TRIED, "calm": PackPlugin(ECHO, name="Calm")}
    host = flyte_run_host(plugins, OWN, poll_interval_seconds=0.1)
    kills = killed_at_random(flyte_server, host, tmp_path, times=300, seed=2)
    figures.note(
        f"| `kill -9` of a pack's own process under load | 300 | {kills.succeeded} SUCCESS, "
        f"{kills.fatal} FATAL, none without an end or run twice; all {kills.calm} actions of "
        f"another pack meanwhile SUCCESS; after {statistics.median(kills.seconds):.1f} s (median), "
        f"{max(kills.seconds):.1f} s (most) |"
    )


Serve = Callable[..., Serving]


@pytest.fixture
def environ(flyte_host_environ: dict[str, str]) -> dict[str, str]:
    path = f"{flyte_host_environ['PYTHONPATH']}{os.pathsep}{ROOT}"
    return flyte_host_environ | {"PYTHONPATH": path}


@pytest.fixture
def configured(installed: Callable[..., Path], tmp_path: Path) -> Callable[..., None]:
    def configure(url: str, drain_seconds: float = 0.6) -> None:
        installed("tried", "from tests.support.isolated_pack import Pack as plugin")
        (tmp_path / "flyte-host.toml").write_text(
            f"[flyte]\nurl = '{url}'\n[host]\ndrain_seconds = {drain_seconds}\n"
            f"poll_interval_seconds = 0.1\n[health]\nlisten = '127.0.0.1:0'\n{disabled_packs()}"
            "[packs.tried]\nisolation = 'process'\n"
        )

    return configure


@pytest.fixture
def serve(
    configured: Callable[..., None], tmp_path: Path, environ: dict[str, str]
) -> Iterator[Serve]:
    running: list[Serving] = []

    def start(url: str, **host: float) -> Serving:
        configured(url, **host)
        running.append(Serving(tmp_path, environ))
        return running[-1]

    yield start
    for each in running:
        each.__exit__(None, None, None)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("command", ["hang", "hog"])
def test_however_the_host_ends_its_children_end(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path, number: int, command: str
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    child = flyte_server.run("Tried", "where").payload
    mark = tmp_path / "runs"
    flyte_server.queue("Tried", command, str(mark))
    wait_until(mark.exists, "the handler runs")
    host.signal(number)
    assert host.ended() == -number
    wait_until(lambda: is_gone(child), "the child is gone")


def test_a_drain_waits_for_what_runs_there(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url, drain_seconds=PATIENCE_SECONDS)
    host.wait_ready()
    flyte_server.queue("Tried", "patient", str(tmp_path / "cancelled"))
    host.wait_for("patient started")
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM
    assert host.wait_for("stopped") == "stopped"
    assert tmp_path.joinpath("cancelled").exists()


def test_the_commands_of_flyte_host_know_such_packs(
    configured: Callable[[str], None],
    flyte_server: FlyteServer,
    flyte_host: Run,
    environ: dict[str, str],
) -> None:
    configured(flyte_server.url)
    check = flyte_host("check", environ=environ)
    assert (check.returncode, check.stderr) == (0, "")
    assert "pack tried: registers as Tried.a.b; commands echo" in check.stdout
    packs = flyte_host("packs", environ=environ)
    assert "Tried.a.b" in packs.stdout
    run = flyte_host("run", "tried", "gentle", "1", environ=environ)
    assert '"gentle": 1' in run.stdout
    ended = flyte_host("run", "tried", "die", "3", environ=environ)
    assert ended.returncode == 1
    assert "the pack's process ended (exit code 3) while this command was running" in ended.stdout


def test_one_that_cannot_be_loaded_is_named_by_check(
    configured: Callable[[str], None],
    flyte_server: FlyteServer,
    flyte_host: Run,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    configured(flyte_server.url)
    with (tmp_path / "flyte-host.toml").open("a") as file:
        file.write("[packs.tried.settings]\nfails = 'flyte_pack: die'\n")
    check = flyte_host("check", environ=environ)
    assert check.returncode == 3
    assert "tried: flyte_pack: its process ended (exit code 3)" in check.stderr


def test_the_pages_are_there_while_it_is_away(
    flyte_server: FlyteServer, flyte_run_host: RunHost
) -> None:
    host = flyte_run_host(TRIED, OWN)
    flyte_server.run("Tried", "die", 4)
    answer = requests.get(f"{host.health_url}/packs/tried", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 500
    assert "its process ended (exit code 4)" in answer.json()["good"]["status"]
