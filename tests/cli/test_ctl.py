"""flyte-host ctl at a real host: pause, resume, drain, status."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import wait_until
from tests.conftest import Run
from tests.support.journal_file import refuse_results, take_results
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

PACK = '''
import pathlib, threading
from flyte_host import Command, EventDef, PackDef, hookimpl

DONE = EventDef("Done")
TICK = EventDef("Tick")

class plugin:
    """Its command waits for a file; it ticks whenever there is a file for that."""

    @hookimpl
    def flyte_pack(self):
        return PackDef("Worker", commands=[
            Command("work", self.work, [DONE]),
            Command("hang", self.work, [DONE], timeout_seconds=0.05),
        ], event_defs=[TICK])

    def work(self, input):
        pathlib.Path(f"started-{input}").touch()
        while not pathlib.Path("go").exists():
            threading.Event().wait(0.02)
        return DONE(input)

    @hookimpl
    def flyte_observe(self, emit, stopping):
        while not stopping.wait(0.02):
            if pathlib.Path("tick").exists():
                pathlib.Path("tick").unlink()
                emit(TICK())
'''


@pytest.fixture
def host(
    installed: Callable[..., Path],
    tmp_path: Path,
    flyte_host_environ: dict[str, str],
    flyte_server: FlyteServer,
) -> Iterator[Serving]:
    installed("worker", PACK)
    enabled = disabled_packs("shell")
    (tmp_path / "flyte-host.toml").write_text(
        f"[flyte]\nurl = '{flyte_server.url}'\n[host]\npoll_interval_seconds = 0.05\n"
        "drain_seconds = 1\n"
        f"[health]\nlisten = '127.0.0.1:0'\n{enabled}"
    )
    with Serving(tmp_path, flyte_host_environ) as serving:
        serving.wait_ready()
        yield serving


def paused_line(host: Serving) -> tuple[bool, str]:
    line = host.page("/ready")[1]["checks"]["paused"]
    return line["healthy"], line["reason"]


def journal_line(host: Serving) -> str:
    return str(host.page("/ready")[1]["checks"]["journal"]["reason"])


def states(done: Any) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(done.stdout)["packs"]}


def table(done: Any) -> list[list[str]]:
    return [re.split(" {2,}", line) for line in done.stdout.splitlines()]


def test_a_paused_pack_takes_nothing_and_goes_on_where_it_was(
    host: Serving, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    first = flyte_server.queue("Worker", "work", 1)
    wait_until((tmp_path / "started-1").exists, "the handler runs")
    done = flyte_host("ctl", "pause", "worker")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("worker: paused since 20")
    # A take that was under way is none of what runs.
    assert re.search(r"; 1 running, (1 asking flyte, )?0 waiting for flyte\n$", done.stdout)

    second = flyte_server.queue("Worker", "work", 2)
    (tmp_path / "go").touch()
    assert flyte_server.finished(first).event == "Done"
    (tmp_path / "tick").touch()
    flyte_server.wait_for_event("Worker", "Tick")
    healthy, reason = paused_line(host)
    assert healthy
    assert reason.startswith("worker has been paused since 20")
    with pytest.raises(AssertionError, match="not within"):
        flyte_server.finished(second, timeout_seconds=0.3)
    status, ready = host.page("/ready")
    assert (status, ready["checks"]["polling"]["healthy"]) == (200, True)

    resumed = flyte_host("ctl", "resume", "worker")
    assert resumed.stdout.startswith("worker: takes actions; ")
    assert flyte_server.finished(second).event == "Done"
    assert paused_line(host) == (True, "no pack is paused")
    assert len(host.messages("paused: no more actions are taken")) == 1
    assert len(host.messages("resumed")) == 1


def test_all_packs_at_once_and_as_json(
    host: Serving, flyte_host: Run, flyte_server: FlyteServer
) -> None:
    assert flyte_host("ctl", "pause").stdout.count("paused since") == 2
    shown = states(flyte_host("ctl", "status", "--json"))
    assert shown.keys() == {"worker", "shell"}
    assert shown["worker"]["paused_since"]
    worker = {name: shown["worker"][name] for name in ("pack", "running", "stuck", "waiting")}
    assert worker == {"pack": "Worker", "running": 0, "stuck": 0, "waiting": 0}
    assert flyte_host("ctl", "resume").returncode == 0
    head, *rows = table(flyte_host("ctl", "status"))
    assert head == [
        "PACK",
        "ACTIONS",
        "ASKING FLYTE",
        "RUNNING",
        "STUCK",
        "WAITING FOR FLYTE",
        "PROBLEM",
    ]
    assert [(row[0], row[1], row[3:]) for row in rows] == [
        ("shell", "takes actions", ["0", "0", "0", "-"]),
        ("worker", "takes actions", ["0", "0", "0", "-"]),
    ]


def test_a_drain_waits_for_what_runs(
    host: Serving,
    flyte_server: FlyteServer,
    tmp_path: Path,
    flyte_host: Run,
    flyte_host_environ: dict[str, str],
) -> None:
    flow = flyte_server.queue("Worker", "work", 1)
    wait_until((tmp_path / "started-1").exists, "the handler runs")
    in_time = flyte_host("ctl", "drain", "worker", "--timeout", "0.1")
    assert in_time.returncode == 1
    assert "flyte-host: not drained within 0.1 s: worker: paused since" in in_time.stderr
    with Serving(tmp_path, flyte_host_environ, command=("ctl", "drain", "worker")) as drain:
        wait_until(lambda: any("1 running" in line for line in drain.errors), "it waits")
        (tmp_path / "go").touch()
        assert drain.ended() == 0
        assert drain.output.endswith("; 0 running, 0 waiting for flyte\n")
        assert len(drain.errors) == 1
    assert flyte_server.finished(flow).event == "Done"


def test_a_drain_waits_for_a_handler_past_its_time_out(
    host: Serving, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    flow = flyte_server.queue("Worker", "hang", 1)
    assert flyte_server.finished(flow).event == "FATAL"
    done = flyte_host("ctl", "drain", "worker", "--timeout", "1")
    assert "0 running, 1 past their timeout, 0 waiting for flyte" in done.stderr
    (tmp_path / "go").touch()
    assert flyte_host("ctl", "drain", "worker").returncode == 0


def test_a_result_that_cannot_be_written_waits_visibly(
    host: Serving, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    """What ends the host meanwhile says that the result is lost, and what the journal keeps."""
    state = tmp_path / "flyte-host.db"
    flyte_server.queue("Worker", "work", 1)
    wait_until((tmp_path / "started-1").exists, "the handler runs")
    assert flyte_host("ctl", "pause").returncode == 0
    refuse_results(state)
    (tmp_path / "go").touch()
    wait_until(lambda: "in memory only" in journal_line(host), "the result waits")
    assert journal_line(host).endswith("could not be written: 1 finished result")
    shown = states(flyte_host("ctl", "status", "--json"))
    assert (shown["worker"]["running"], shown["worker"]["waiting"]) == (0, 1)
    assert shown["shell"]["waiting"] == 0
    drained = flyte_host("ctl", "drain", "worker", "--timeout", "0")
    assert drained.returncode == 1
    assert "0 running, 1 waiting for flyte" in drained.stderr
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM
    assert host.messages("stopped with 1 delivery open")
    assert host.messages("results lost, since journal")[0].endswith(
        "could not be written: 1; the next start treats their actions as cut off"
    )
    assert host.messages("stopped; 1 entry waits in the journal")


def test_a_result_is_written_and_delivered_once_the_journal_works_again(
    host: Serving, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    state = tmp_path / "flyte-host.db"
    flow = flyte_server.queue("Worker", "work", 1)
    wait_until((tmp_path / "started-1").exists, "the handler runs")
    refuse_results(state)
    (tmp_path / "go").touch()
    wait_until(lambda: "in memory only" in journal_line(host), "the result waits")
    take_results(state)
    assert flyte_server.finished(flow).event == "Done"
    assert flyte_host("ctl", "drain").returncode == 0
    assert journal_line(host) == "0 results and 0 events wait for flyte"


def test_a_pack_that_there_is_not(host: Serving, flyte_host: Run) -> None:
    done = flyte_host("ctl", "pause", "Woker")
    text = "no pack 'Woker' is served (did you mean \"worker\"?); there are: shell, worker\n"
    assert (done.returncode, done.stderr) == (1, f"flyte-host: {text}")
    assert (
        flyte_host("ctl", "pause", "Worker").stdout == flyte_host("ctl", "pause", "worker").stdout
    )


def test_without_a_host(flyte_host: Run, host: Serving, tmp_path: Path) -> None:
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM
    assert not (tmp_path / "flyte-host.db.sock").exists()
    done = flyte_host("ctl", "status")
    assert done.returncode == 1
    assert "no host answers at" in done.stderr


def test_a_killed_host_leaves_a_socket_that_the_next_one_replaces(
    host: Serving, flyte_host: Run, tmp_path: Path, flyte_host_environ: dict[str, str]
) -> None:
    host.signal(signal.SIGKILL)
    host.ended()
    assert "no host answers" in flyte_host("ctl", "status").stderr
    with Serving(tmp_path, flyte_host_environ) as again:
        again.wait_ready()
        assert flyte_host("ctl", "status").returncode == 0


def test_a_host_that_cannot_be_controlled_serves(
    installed: Callable[..., Path],
    tmp_path: Path,
    flyte_host: Run,
    flyte_host_environ: dict[str, str],
    flyte_server: FlyteServer,
) -> None:
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    (tmp_path / "flyte-host.toml").write_text(
        f"[flyte]\nurl = '{flyte_server.url}'\n[host]\nstate = '{folder}/flyte-host.db'\n"
        "[health]\nlisten = '127.0.0.1:0'\n"
    )
    with Serving(tmp_path, flyte_host_environ) as serving:
        serving.wait_ready()
        said = serving.wait_for("flyte-host ctl cannot reach this host: control socket")
        assert "a socket's has at most 107; give [host] state a shorter path" in said
    assert "at most 107" in flyte_host("ctl", "status").stderr
