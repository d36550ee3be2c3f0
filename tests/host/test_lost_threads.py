"""A thread that something ends: it runs again, or the process ends so that somebody restarts it."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.control.control_server import ControlError, ask, socket_of
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

Serve = Callable[..., Serving]

PACK = '''
import ctypes, logging, threading
from flyte_host import Command, EventDef, PackDef, hookimpl

DONE = EventDef("Done")

class plugin:
    """Ends threads of the host, as an extension or a lack of memory may."""

    @hookimpl
    def flyte_pack(self):
        return PackDef("Bad", commands=[
            Command("end_thread", self.end_thread, [DONE]),
            Command("nudge", self.nudge, [DONE], timeout_seconds=60),
            Command("async_nudge", self.async_nudge, [DONE]),
        ])

    def end_thread(self, input):
        own = threading.current_thread()
        found = [each for each in threading.enumerate()
                 if each.name.startswith(input) and each is not own and each.ident]
        for each in found:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(each.ident), ctypes.py_object(SystemExit))
        return DONE(len(found))

    def nudge(self, input):
        logging.getLogger("bad").warning("nudged")
        print("nudged", flush=True)
        return DONE()

    async def async_nudge(self, input):
        return DONE()

    @hookimpl
    def flyte_observe(self, emit, stopping):
        while not stopping.wait(0.05):
            pass
'''


@pytest.fixture
def serve(
    installed: Callable[..., Path], tmp_path: Path, flyte_host_environ: dict[str, str]
) -> Iterator[Serve]:
    running: list[Serving] = []
    installed("bad", PACK)

    def start(flyte: str, *, packs: str = "", command: tuple[str, ...] = ("serve",)) -> Serving:
        (tmp_path / "flyte-host.toml").write_text(
            f"[flyte{flyte}\n[host]\ndrain_seconds = 5\n"
            f"poll_interval_seconds = 0.1\n[health]\nlisten = '127.0.0.1:0'\n"
            f"{disabled_packs()}{packs}"
        )
        # A copy of a running Python would not import sitecustomize.
        python = sys.executable if command == ("flyte",) else None
        running.append(Serving(tmp_path, flyte_host_environ, command=command, python=python))
        return running[-1]

    yield start
    for each in running:
        each.__exit__(None, None, None)


def lost(name: str) -> str:
    return f"thread '{name}' was ended by SystemExit: the host cannot go on"


def look(url: str) -> None:
    """A server notices what happened to its thread when something comes."""
    with suppress(requests.RequestException):
        requests.get(url, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("name", ["worker-", "courier-", "health pages"])
def test_a_thread_that_cannot_be_replaced_ends_the_process(
    serve: Serve, flyte_server: FlyteServer, name: str
) -> None:
    host = serve(f"]\nurl = '{flyte_server.url}'")
    host.wait_ready()
    cannot_go_on = "the host cannot go on; stopping, so that a supervisor restarts it"

    def is_lost() -> bool:
        """One that works just then outlives the blow, and says so: it needs another."""
        if host.messages(cannot_go_on):
            return True
        times = len(host.messages("end_thread → Done")) + 1
        flyte_server.queue("Bad", "end_thread", name)
        wait_until(
            lambda: len(host.messages("end_thread → Done")) >= times or host.messages(cannot_go_on),
            "the blow",
        )
        if name == "health pages":
            look(host.health_url)
        return bool(host.messages(cannot_go_on))

    wait_until(is_lost, "the host cannot go on")
    words = host.wait_for(cannot_go_on)
    assert words.startswith(f"thread '{name}")
    assert host.ended() == 1, host.messages()
    assert host.messages("stopping: no more actions are taken, running ones may finish")
    assert host.messages("stopped")
    assert host.messages()[-1].startswith(f"the exit code is 1, since thread '{name}")
    [line] = [each for each in host.log if each["message"] == words][:1]
    assert line["level"] == "critical"


def test_a_lost_server_of_embedded_flyte_ends_the_process(serve: Serve, tmp_path: Path) -> None:
    host = serve(".embedded]\nlisten = '127.0.0.1:0'\nstore = ':memory:'")
    host.wait_ready()
    step = {
        "id": "run",
        "event": {"packName": "Kit", "name": "Go"},
        "command": {"packName": "Bad", "name": "end_thread", "input": "embedded flyte"},
    }
    requests_of_kit: list[tuple[str, dict[str, Any]]] = [
        ("/v1/packs", {"name": "Kit"}),
        ("/v1/flows", {"name": "f", "steps": [step]}),
        ("/v1/packs/Kit/events", {"event": "Go"}),
    ]
    for path, body in requests_of_kit:
        with suppress(requests.ConnectionError):  # the event's server may end before it answers
            requests.post(host.flyte_url + path, json=body, timeout=PATIENCE_SECONDS)
    host.wait_for("end_thread → Done")  # the host calls that flyte without its server
    look(host.flyte_url)
    host.wait_for(lost("embedded flyte"))
    assert host.ended() == 1, host.messages()


ENDED = {
    "coroutines": "a task of a handler called sys.exit()",
    "bad observes bad": "observer of bad failed: called sys.exit(); it starts again in 1 s",
}
"""What the host says about threads that foreign code runs in."""


@pytest.mark.parametrize(
    "name", ["deadlines", "coroutines", "loop-watchdog", "log", "control", "bad observes bad"]
)
def test_a_thread_that_can_run_again_does(
    serve: Serve, flyte_server: FlyteServer, tmp_path: Path, name: str
) -> None:
    host = serve(f"]\nurl = '{flyte_server.url}'")
    host.wait_ready()
    assert flyte_server.run("Bad", "async_nudge").state == "SUCCESS"
    flyte_server.run("Bad", "end_thread", name)
    for command in ("nudge", "async_nudge", "nudge"):
        assert flyte_server.run("Bad", command).state == "SUCCESS"
    if name == "control":
        ask_twice(tmp_path)
    host.wait_for(ENDED.get(name, f"thread '{name}' was ended by SystemExit: restarting it"))
    assert flyte_server.run("Bad", "nudge").state == "SUCCESS"
    assert host.page("/live") == (200, {"live": True, "dead_threads": []})
    assert host.page("/ready")[0] == 200
    host.signal(signal.SIGTERM)
    assert host.ended() == -signal.SIGTERM


def ask_twice(folder: Path) -> None:
    """It is ended between the first answer and the second."""
    for _ in range(2):
        with suppress(ControlError):
            ask(socket_of(next(folder.glob("*.db"))), {"do": "status"})


def test_flyte_alone_ends_when_it_cannot_answer(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLER)
    host = serve(".embedded]\nlisten = '127.0.0.1:0'\nstore = ':memory:'", command=("flyte",))
    url = host.flyte_url
    (tmp_path / "now").touch()
    wait_until((tmp_path / "done").exists, "the thread is hit")
    look(url)
    host.wait_for(lost("embedded flyte"))
    assert host.ended() == 1
    assert host.messages()[-1] == f"the exit code is 1, since {lost('embedded flyte')}"


KILLER = """
import ctypes, os, pathlib, sys, threading

def kill():
    while not pathlib.Path("now").exists():
        threading.Event().wait(0.02)
    for each in threading.enumerate():
        if each.name == "embedded flyte":
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(each.ident), ctypes.py_object(SystemExit))
    pathlib.Path("done").touch()

threading.Thread(target=kill, daemon=True).start()
"""


@pytest.mark.parametrize("work", ["reads what it says", "reads what it writes"])
def test_a_process_that_nobody_hears_is_replaced(
    serve: Serve,
    installed: Callable[..., Path],
    flyte_server: FlyteServer,
    work: str,
) -> None:
    installed("own", PACK.replace('"Bad"', '"Own"'))
    host = serve(f"]\nurl = '{flyte_server.url}'", packs="[packs.own]\nisolation = 'process'\n")
    host.wait_ready()
    assert flyte_server.run("Own", "nudge").state == "SUCCESS"
    flyte_server.run("Bad", "end_thread", f"process of own: {work}")
    flyte_server.run("Own", "nudge")
    host.wait_for("own: its process is running again")
    assert flyte_server.run("Own", "nudge").state == "SUCCESS"
    assert host.page("/live")[0] == 200
