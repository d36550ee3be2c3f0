"""How a server of tools ends: by a signal, and when it has lost a thread."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.serving import Serving
from tests.support.tool_client import use_client

pytestmark = pytest.mark.xdist_group("tools")  # the SDK is imported once

PACK = '''
import ctypes, pathlib, threading, time
from flyte_host import Command, EventDef, PackDef, hookimpl

DONE = EventDef("Done")

class plugin:
    @hookimpl
    def flyte_pack(self):
        threading.Thread(target=self.end_threads, daemon=True).start()
        return PackDef("Bad", commands=[Command("hang", self.hang, [DONE])])

    def end_threads(self):
        """Those whose name begins like the text of a file, once there is one."""
        while not (file := pathlib.Path("end")).exists() or not (name := file.read_text()):
            time.sleep(0.01)
        for each in threading.enumerate():
            if each.name.startswith(name) and each.ident:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(each.ident), ctypes.py_object(SystemExit))
        file.unlink()

    def hang(self, input):
        pathlib.Path("hangs").touch()
        threading.Event().wait()
'''


@pytest.fixture
def serving(
    installed: Callable[..., Path], tmp_path: Path, flyte_host_environ: dict[str, str]
) -> Iterator[Serving]:
    installed("bad", PACK)
    (tmp_path / "flyte-host.toml").write_text(
        '[mcp]\nallow = ["Bad.hang"]\nlisten = "127.0.0.1:0"\n[host]\ndrain_seconds = 0.1\n'
    )
    with Serving(tmp_path, flyte_host_environ, command=("mcp", "--http")) as serving:
        wait_until(lambda: serving.messages("offering 1 tool"), "the tools are served")
        yield serving


def url_of(serving: Serving) -> str:
    return serving.messages("tools at ")[0].removeprefix("tools at ")


@pytest.mark.parametrize("name", ["tools", "worker-"])
def test_a_thread_that_cannot_be_replaced_ends_the_process_with_an_error(
    serving: Serving, tmp_path: Path, name: str
) -> None:
    (tmp_path / "end").write_text(name)
    wait_until(lambda: not (tmp_path / "end").exists(), "the thread is hit")
    with suppress(requests.RequestException):  # a server notices when something comes
        requests.get(url_of(serving), timeout=PATIENCE_SECONDS)
    serving.wait_for("the host cannot go on; stopping, so that a supervisor restarts it")
    assert serving.ended() == 1, serving.messages()
    assert serving.messages()[-1].startswith(f"the exit code is 1, since thread '{name}")


def test_a_signal_tells_what_the_journal_keeps(serving: Serving, tmp_path: Path) -> None:
    def call() -> None:
        with suppress(Exception):  # the server ends before it answers
            use_client(url_of(serving), lambda client: client.call_tool("Bad_hang", {"input": 1}))

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    wait_until((tmp_path / "hangs").exists, "the handler hangs")
    serving.signal(signal.SIGTERM)
    assert serving.ended() == -signal.SIGTERM
    assert serving.messages("1 entry waits in the journal ")
    caller.join(PATIENCE_SECONDS)
