"""Whatever hangs: a host that is asked to stop ends by its deadline, as the signal ends it."""

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.conftest import Run
from tests.support.fault_rig import host_for
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

DRAIN_SECONDS = 0.6
Serve = Callable[..., Serving]

PACK = '''
import asyncio, atexit, ctypes, pathlib, threading, time
from flyte_host import Command, EventDef, Health, HealthCheck, PackDef, hookimpl

DONE = EventDef("Done")
forever = threading.Event().wait

class plugin:
    """Everything in it hangs, if it is asked to."""

    @hookimpl
    def flyte_pack(self):
        return PackDef("Bad", commands=[
            Command("hang", self.hang, [DONE]),
            Command("block", self.block, [DONE]),
            Command("swallow", self.swallow, [DONE]),
            Command("greedy", self.greedy, [DONE]),
            Command("wait", self.wait, [DONE]),
            Command("litter", self.litter, [DONE]),
        ])

    def hang(self, input):
        pathlib.Path("running").touch()
        forever()

    async def block(self, input):
        self.hang(input)

    async def swallow(self, input):
        pathlib.Path("running").touch()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    def wait(self, input):
        pathlib.Path("running").touch()
        while not pathlib.Path("go").exists():
            threading.Event().wait(0.01)
        return DONE()

    def greedy(self, input):
        """Keeps the interpreter to itself, as some extensions do."""
        self.wait(input)
        ctypes.PyDLL(None).sleep(100_000)

    def litter(self, input):
        threading.Thread(target=forever, daemon=False).start()
        atexit.register(forever)
        pathlib.Path("running").touch()
        return DONE()

    @hookimpl
    def flyte_health_checks(self):
        return [HealthCheck("hangs", self.check)]

    def check(self):
        pathlib.Path("checking").touch()
        forever()

    @hookimpl
    def flyte_observe(self, emit, stopping):
        forever()
'''


@pytest.fixture
def serve(
    installed: Callable[..., Path], tmp_path: Path, flyte_host_environ: dict[str, str]
) -> Iterator[Serve]:
    running: list[Serving] = []

    def start(url: str, *arguments: str, source: str = PACK) -> Serving:
        installed("bad", source)
        configure(tmp_path, url)
        running.append(Serving(tmp_path, flyte_host_environ, *arguments))
        return running[-1]

    yield start
    for each in running:
        each.__exit__(None, None, None)


def configure(folder: Path, url: str) -> None:
    others = disabled_packs()
    (folder / "flyte-host.toml").write_text(
        f"[flyte]\nurl = '{url}'\n[host]\ndrain_seconds = {DRAIN_SECONDS}\n"
        f"poll_interval_seconds = 0.1\n[health]\nlisten = '127.0.0.1:0'\n{others}"
    )


def stopped(host: Serving, number: int = signal.SIGTERM) -> int:
    """The exit status after a signal; ``make soak`` looks how soon it comes."""
    host.signal(number)
    try:
        return host.ended()
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it runs on: {host.messages()} {host.errors}") from None


def end_in_time(host: Serving) -> None:
    status = stopped(host)
    assert status == -signal.SIGTERM, (status, host.messages(), host.errors)


def runs(tmp_path: Path) -> None:
    wait_until((tmp_path / "running").exists, "the handler runs")


@pytest.mark.parametrize("command", ["hang", "block", "swallow"])
def test_handlers_and_observers_that_hang(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path, command: str
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    flyte_server.queue("Bad", command)
    runs(tmp_path)
    end_in_time(host)
    ours = [each["message"] for each in host.log if each["logger"].startswith("flyte_host")]
    assert ours[-1] == "stopped; 1 entry waits in the journal"  # asyncio may mourn a task later
    assert host.messages("bad observes bad did not return when it was asked to stop")


def test_a_health_check_that_hangs(serve: Serve, flyte_server: FlyteServer, tmp_path: Path) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    reader = threading.Thread(target=lambda: read(host.health_url))
    reader.start()
    wait_until((tmp_path / "checking").exists, "the check hangs")
    end_in_time(host)
    assert host.messages()[-1] == "stopped"
    reader.join(PATIENCE_SECONDS)


def read(url: str) -> None:
    try:
        requests.get(url, timeout=PATIENCE_SECONDS)
    except requests.RequestException:
        return


def test_a_flyte_that_hangs(serve: Serve) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        host = serve(f"http://127.0.0.1:{mute.getsockname()[1]}")
        connection, _ = mute.accept()
        with connection:
            host.wait_for("health pages at")
            end_in_time(host)
    assert host.messages()[-1] == "stopped"  # it registered, and took nothing


def test_threads_and_exit_handlers_of_a_plugin(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    assert flyte_server.finished(flyte_server.queue("Bad", "litter")).event == "Done"
    end_in_time(host)


def test_a_journal_that_another_process_locks(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    host = serve(flyte_server.url)
    host.wait_ready()
    flyte_server.queue("Bad", "wait")
    runs(tmp_path)
    with closing(sqlite3.connect(tmp_path / "flyte-host.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        (tmp_path / "go").touch()
        host.signal(signal.SIGTERM)
        host.wait_for("stopping: no more actions are taken")
        assert host.ended() == -signal.SIGTERM
    assert host.messages("the journal was not closed: did not return within 0.1 s")
    assert host.messages()[-1] == "stopped; 1 entry waits in the journal"


@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_signal_while_a_plugin_is_loaded(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path, where: str
) -> None:
    hang = "import pathlib, threading\npathlib.Path('running').touch()\nthreading.Event().wait()\n"
    if where == "hook":
        body = hang.replace("\n", "\n        ")
        hang = (
            "from flyte_host import hookimpl\nclass plugin:\n    @hookimpl\n"
            f"    def flyte_pack(self):\n        {body}"
        )
    host = serve(flyte_server.url, source=hang)
    runs(tmp_path)
    assert stopped(host) == -signal.SIGTERM
    assert host.messages()[-1] == "stopped"
    assert flyte_server.packs() == []


def test_stderr_that_nobody_reads(
    installed: Callable[..., Path],
    tmp_path: Path,
    flyte_host_environ: dict[str, str],
    flyte_server: FlyteServer,
) -> None:
    """The main thread hangs in writing its log."""
    full = "import pathlib, sys\nfor _ in range(1000): sys.stderr.write('x' * 10_000)\n"
    installed("bad", f"import pathlib\npathlib.Path('running').touch()\n{full}")
    configure(tmp_path, flyte_server.url)
    with subprocess.Popen(
        [sys.executable, "-m", "flyte_host", "serve"], cwd=tmp_path, env=flyte_host_environ,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        runs(tmp_path)
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE_SECONDS)
        # The alarm if the machine is so busy that the thread that watches comes too late.
        assert status in {-signal.SIGTERM, -signal.SIGALRM}


@pytest.fixture
def starved(serve: Serve, flyte_server: FlyteServer, tmp_path: Path) -> Serving:
    """A host that stops, and whose interpreter a handler keeps for itself."""
    host = serve(flyte_server.url)
    host.wait_ready()
    flyte_server.queue("Bad", "greedy")
    runs(tmp_path)
    host.signal(signal.SIGTERM)
    host.wait_for("stopping: no more actions are taken")
    (tmp_path / "go").touch()
    return host


def test_an_interpreter_that_never_gets_its_turn(starved: Serving) -> None:
    assert starved.ended() == -signal.SIGALRM  # nothing of the host could run: the kernel's status


def test_a_second_signal_ends_an_interpreter_that_never_gets_its_turn(starved: Serving) -> None:
    assert stopped(starved, signal.SIGINT) == -signal.SIGINT


def test_a_start_that_fails_ends_in_spite_of_a_plugins_thread(
    installed: Callable[..., Path], flyte_host: Run, tmp_path: Path, flyte_server: FlyteServer
) -> None:
    installed(
        "bad", "import threading\nthreading.Thread(target=threading.Event().wait).start()\n1/0\n"
    )
    configure(tmp_path, flyte_server.url)
    assert flyte_host("serve", "--strict").returncode == 3
    listed = flyte_host("packs")
    assert (listed.returncode, "ZeroDivisionError" in listed.stdout) == (0, True)


MAIN_HANGS = """
import signal, sys, threading
from flyte_host.host.shutdown import catch_stop
hang = sys.argv[1] == "hang"
with catch_stop() as request:
    print("up", flush=True)
    request.wait()
    tell = threading.Event().wait if hang else lambda: print("overdue", flush=True)
    request.end_within(0.2, tell)
    threading.Event().wait()
"""


@pytest.mark.parametrize(("mode", "said"), [("tell", "overdue\n"), ("hang", "")])
def test_what_is_overdue_says_so_if_it_can_and_ends(mode: str, said: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAIN_HANGS, mode], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == said
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGINT


OTHERS = """
import os, signal, threading
from flyte_host.host.shutdown import catch_stop
signal.signal(signal.SIGUSR1, lambda number, frame: print("heard", flush=True))
with catch_stop() as request:
    request.set()
    request.wait()
    print("up", flush=True)
    request.wait()
    print("asked", flush=True)
request.set()
"""


def test_a_host_that_is_asked_to_stop_begins_nothing_however_far_its_start_is(
    tmp_path: Path,
) -> None:
    """Its stop waits for the start, and workers must not take anything meanwhile."""
    host = host_for(tmp_path, "http://127.0.0.1:1")
    host.stop()
    assert host.schedule.stopping


def test_other_signals_ask_for_no_stop() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHERS], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "heard\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "asked\n"
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGTERM


ENDS = """
import signal, threading
from flyte_host.host.shutdown import catch_stop
heard = []
for number in (signal.SIGTERM, signal.SIGALRM):
    signal.signal(number, lambda number, frame: heard.append(number))
with catch_stop() as request:
    print("up", flush=True)
    request.wait()
    request.end_within(60, lambda: None)
print(heard == [signal.SIGTERM], signal.getitimer(signal.ITIMER_REAL)[0])
"""


def test_a_callers_own_handlers_get_the_signal_and_no_alarm() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDS], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "True 0.0\n"
        assert process.wait(PATIENCE_SECONDS) == 0


def test_end_survives_streams_that_are_closed() -> None:
    script = "import sys\nfrom flyte_host.host.shutdown import end\nsys.stdout.close()\nend(7)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 7
