"""A whole host in its own process: its life, its signals, and what survives its death."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import wait_until
from flyte_host.web.web_server import WebServer
from tests.support.own_packs import disabled_packs
from tests.support.scripted_server import port_of_nobody
from tests.support.serving import Serving

Install = Callable[..., Path]
Serve = Callable[..., Serving]

WORKER = '''
import pathlib, threading
from flyte_host import Command, EventDef, PackDef, hookimpl

DONE = EventDef("Done")

class plugin:
    """Its commands write down that they started, and wait for a file that lets them continue."""

    @hookimpl
    def flyte_pack(self):
        return PackDef("Worker", commands=[
            Command("work", self.work, [DONE]),
            Command("again", self.work, [DONE], idempotent=True),
        ])

    def work(self, input, action):
        with open("started", "a") as started:
            started.write(f"{action.command} {action.attempt}\\n")
        while not pathlib.Path("go").exists():
            threading.Event().wait(0.02)
        return DONE({"input": input, "attempt": action.attempt})
'''
HANGING = """import pathlib, threading
while not pathlib.Path("import").exists():
    threading.Event().wait(0.01)
plugin = None
"""


@pytest.fixture
def serve(
    installed: Install, tmp_path: Path, flyte_host_environ: dict[str, str]
) -> Iterator[Serve]:
    """Start ``flyte-host serve`` for a flyte at a URL, with the worker pack installed."""
    installed("worker", WORKER)
    running: list[Serving] = []

    def start(url: str, *arguments: str, host: str = "", under: Sequence[str] = ()) -> Serving:
        text = (
            f"[flyte]\nurl = '{url}'\n[host]\nmax_concurrent = 20\n{host}\n"
            "[health]\nlisten = '127.0.0.1:0'\n"
            f"{disabled_packs('shell', 'ticker')}"
        )
        (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")
        running.append(Serving(tmp_path, flyte_host_environ, *arguments, under=under))
        return running[-1]

    yield start
    for each in running:
        each.__exit__(None, None, None)


def started(tmp_path: Path) -> list[str]:
    path = tmp_path / "started"
    return path.read_text().splitlines() if path.exists() else []


def states(tmp_path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(tmp_path / "flyte-host.db")) as db:
        return dict(db.execute("SELECT state, count(*) FROM action GROUP BY state").fetchall())


def test_sigterm_in_the_middle_of_20_actions_finishes_all(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    flows = [flyte_server.queue("Worker", "work", number) for number in range(20)]
    wait_until(lambda: len(started(tmp_path)) == 20, "20 handlers run")
    host.signal(signal.SIGTERM)
    host.wait_for("stopping: no more actions are taken")
    (tmp_path / "go").touch()
    assert host.ended() == -signal.SIGTERM
    finished = [flyte_server.finished(flow) for flow in flows]
    assert [each.event for each in finished] == ["Done"] * 20
    assert sorted(each.payload["input"] for each in finished) == list(range(20))
    assert host.messages("stopped")[-1] == "stopped"
    assert states(tmp_path) == {"delivered": 20}


def test_sigint_ends_the_process_as_sigint(serve: Serve, flyte_server: FlyteServer) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    host.signal(signal.SIGINT)
    assert host.ended() == -signal.SIGINT


AS_PROCESS_1 = ("unshare", "--fork", "--pid", "--kill-child")


def can_be_process_1() -> bool:
    try:
        return subprocess.run([*AS_PROCESS_1, "true"], check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_be_process_1(), reason="no process namespaces here")
@pytest.mark.parametrize("times", [1, 2])
def test_process_1_of_a_container_ends_as_a_shell_calls_it(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path, times: int
) -> None:
    """The kernel lets no signal end it, so it has to exit on its own."""
    host = serve(flyte_server.url, under=AS_PROCESS_1)
    host.wait_ready()
    if times == 2:
        flyte_server.queue("Worker", "work", 1)
        wait_until(lambda: started(tmp_path), "the handler runs")
    children = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    if times == 2:
        host.wait_for("stopping: no more actions are taken")
        os.kill(int(children[0]), signal.SIGTERM)
    assert host.ended() == 128 + signal.SIGTERM


def test_second_sigterm_ends_at_once_and_the_journal_keeps_what_was_open(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    one, two = flyte_server.queue("Worker", "work", 1), flyte_server.queue("Worker", "again", 2)
    wait_until(lambda: len(started(tmp_path)) == 2, "both handlers run")
    host.signal(signal.SIGTERM)
    host.wait_for("stopping: no more actions are taken")
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM
    assert states(tmp_path) == {"taken": 2}

    (tmp_path / "go").touch()
    serve(flyte_server.url)
    cut_off = flyte_server.finished(one)
    assert (cut_off.event, cut_off.payload) == (
        "FATAL",
        "the host stopped while this command was running",
    )
    again = flyte_server.finished(two)
    assert (again.event, again.payload) == ("Done", {"input": 2, "attempt": 2})
    assert started(tmp_path).count("work 1") == 1


def test_killed_host_recovers_at_its_next_start(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    flow = flyte_server.queue("Worker", "work", 1)
    wait_until(lambda: started(tmp_path), "the handler runs")
    host.signal(signal.SIGKILL)
    assert host.ended() == -signal.SIGKILL
    serve(flyte_server.url)
    assert flyte_server.finished(flow).event == "FATAL"
    assert started(tmp_path) == ["work 1"]


def test_drain_ends_at_its_deadline(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url, host="drain_seconds = 0.2")
    host.wait_ready()
    flyte_server.queue("Worker", "work", 1)
    wait_until(lambda: started(tmp_path), "the handler runs")
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM
    assert host.messages("stopped; 1 entry waits in the journal")
    assert states(tmp_path) == {"taken": 1}


def test_nothing_but_broken_plugins(serve: Serve, installed: Install) -> None:
    """The remedy is to fix them, not to install more; a secret in clear text is named, too."""
    installed("broken", "import no_such_module")
    others = ("shell", "ticker", "worker")
    disabled = "".join(f"[packs.{name}]\nenabled = false\n" for name in others)
    secret = "[packs.broken.settings]\ntoken = 'hunter2'\n"
    host = serve("http://127.0.0.1:1", host=disabled + secret)
    host.wait_for("no pack is served: plugins are broken or not set up; flyte-host packs says why")
    assert host.messages("packs.broken.settings.token looks like a secret in clear text")
    assert not host.messages("install plugins")
    assert not host.messages("hunter2")
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM


def test_flyte_absent_at_start(serve: Serve, tmp_path: Path) -> None:
    """The host waits, says so once in the log and in /ready, and registers when flyte comes."""
    with port_of_nobody() as port:
        host = serve(f"http://127.0.0.1:{port}")
        host.wait_for("connection refused")
        status, ready = host.page("/ready")
        assert status == 503
        assert "connection refused" in ready["checks"]["flyte"]["reason"]
        assert host.page("/live")[0] == 200
        assert host.page("/")[1]["flyte-api"]["healthy"] is False

        flyte = EmbeddedFlyte(":memory:")
        server = WebServer(flyte.asgi, ("127.0.0.1", port), name="flyte that comes late")
    server.start()
    try:
        host.wait_ready()
        assert len(host.messages("connection refused")) == 1
        host.wait_for("registered as Worker")
        host.signal(signal.SIGTERM)
        assert host.ended() == -signal.SIGTERM
    finally:
        server.stop()
        flyte.close()


def test_health_answers_while_a_plugin_still_imports(
    serve: Serve, installed: Install, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    installed("hanging", HANGING)
    host = serve(flyte_server.url)
    status, ready = host.page("/ready")
    assert (status, ready["checks"]["host"]["reason"]) == (503, "starting: loading plugins")
    (tmp_path / "import").touch()
    host.wait_ready()
    assert "hanging" in host.page("/ready")[1]["checks"]["plugins"]["reason"]


def test_second_host_on_one_journal_is_refused(serve: Serve, flyte_server: FlyteServer) -> None:
    serve(flyte_server.url).wait_ready()
    second = serve(flyte_server.url)
    assert second.ended() == 1
    assert "another flyte-host uses it" in "".join(second.errors)


def test_two_hosts_share_one_packs_actions(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    serve(flyte_server.url).wait_ready()
    serve(flyte_server.url, host="state = 'second.db'").wait_ready()
    flows = [flyte_server.queue("Worker", "work", number) for number in range(60)]
    inputs = [flyte_server.finished(flow).payload["input"] for flow in flows]
    assert inputs == list(range(60))
    assert len(started(tmp_path)) == 60
