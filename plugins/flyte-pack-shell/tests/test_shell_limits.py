"""Timeouts, the end of the host, too much output, and the health check."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_shell import ShellPack, ShellSettings
from flyte_pack_shell.script import FinishedScript, RunningScripts, Shell

from flyte_host import Action, Health
from flyte_host.testing.waiting import PATIENCE_SECONDS

Call = Callable[..., Any]

HANG = "(sleep 300 & wait)"


def ends(fifo: Path) -> str:
    """What was written to the fifo until no process has it open."""
    with fifo.open() as stream:
        return stream.read()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "held"
    os.mkfifo(path)
    return path


def test_the_timeout_ends_the_whole_group(call: Call, fifo: Path) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=1.5))
    with ThreadPoolExecutor() as pool:
        alive = pool.submit(ends, fifo)
        result = call(pack, "Shell", f"exec 3>{fifo}; echo begun; {HANG}; echo never")
        assert alive.result(PATIENCE_SECONDS) == ""
    stderr = "flyte-pack-shell: killed after 1.5 s (timeout_seconds)\n"
    assert result == ("Output", {"stdout": "begun\n", "stderr": stderr, "exit_code": -1})


def test_the_timeout_ends_a_child_that_holds_stdout(call: Call) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=1.5))
    _, payload = call(pack, "Shell", "sleep 300 & echo -n oh >&2; exit 0")
    stderr = "oh\nflyte-pack-shell: killed after 1.5 s (timeout_seconds)\n"
    assert payload == {"stdout": "", "stderr": stderr, "exit_code": 0}


def test_the_timeout_ends_a_script_that_closed_its_output(call: Call) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=0.5))
    _, payload = call(pack, "Shell", "exec >&- 2>&-; sleep 300")
    assert payload["exit_code"] == -1


def test_the_timeout_ends_a_script_that_never_stops_talking(call: Call) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=1.5, max_output_bytes=4))
    _, payload = call(pack, "Shell", "while :; do echo y; done")
    assert (payload["stdout"], payload["exit_code"]) == ("y\ny\n", -1)


HOSTILE = {
    "floods both streams": "cat /dev/zero >&2 & cat /dev/zero",
    "one endless line": "tr '\\0' x < /dev/zero",
    "stops itself": "kill -STOP $$",
    "ignores signals": "trap '' TERM INT HUP; while :; do :; done",
    "jobs of their own groups": "set -m; sleep 3 & cat /dev/zero & wait; sleep 300",
    "closes all that it inherits": (
        'for each in /proc/$$/fd/*; do n=${each##*/}; eval "exec $n>&-" 2>&-; done; sleep 300'
    ),
    "children that come back": "loop() { sleep 0.01; loop & }; loop; sleep 300",
    "reads what it was lent": "cat /proc/$$/fd/* 2>&1; sleep 300",
}
"""Scripts that do not end by themselves, each in its own way."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_timeout_ends_hostile_scripts(call: Call, kind: str) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=0.5, max_output_bytes=1000))
    name, payload = call(pack, "Shell", HOSTILE[kind])
    assert (name, payload["exit_code"]) == ("Output", -1)
    assert payload["stderr"].endswith("flyte-pack-shell: killed after 0.5 s (timeout_seconds)\n")
    assert len(payload["stdout"]) <= 1000
    # The pack goes on working.
    assert call(pack, "Shell", "echo fine")[1]["stdout"] == "fine\n"


def test_a_daemon_that_keeps_stdout_open_does_not_keep_the_action(call: Call, fifo: Path) -> None:
    """It has a session of its own, so it lives on; it is told what to do by the fifo."""
    pack = ShellPack(ShellSettings(timeout_seconds=1.5))
    script = f"setsid bash -c 'read word <{fifo}; echo $word' & echo begun"
    name, payload = call(pack, "Shell", script)
    assert (name, payload["stdout"], payload["exit_code"]) == ("Output", "begun\n", 0)
    assert payload["stderr"] == "flyte-pack-shell: killed after 1.5 s (timeout_seconds)\n"
    fifo.write_text("end\n")


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_script_that_cannot_be_killed_does_not_keep_the_action(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """As one that runs as another user, by sudo."""

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    pack = ShellPack(ShellSettings(timeout_seconds=1.5))
    _, payload = call(pack, "Shell", f"echo $$ >{tmp_path}/pid; exec sleep 300")
    try:
        assert payload["exit_code"] == -1
        assert payload["stderr"] == (
            "flyte-pack-shell: killed after 1.5 s (timeout_seconds)\n"
            "flyte-pack-shell: it still runs: it belongs to another user, or hangs in the "
            "system\n"
        )
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("script", "stdout"),
    [
        (r"printf 'a\0b'", "a\0b"),
        (r"printf '\xff\0\xfe\r\n\x1b[31m'", "\ufffd\0\ufffd\r\n\x1b[31m"),
        (r"printf '\xed\xa0\x80'", "\ufffd" * 3),
    ],
    ids=["NUL", "binary", "half a surrogate pair"],
)
def test_odd_bytes_arrive_as_text(call: Call, script: str, stdout: str) -> None:
    assert call(ShellPack(ShellSettings()), "Shell", script)[1]["stdout"] == stdout


def test_the_hosts_deadline_ends_the_script_too() -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=200))
    now = datetime.now(UTC)
    action = Action("1", "Shell", "Shell", now, deadline=now + timedelta(seconds=0.3))
    payload = pack.run(HANG, action).payload
    assert payload["exit_code"] == -1
    assert payload["stderr"].endswith(" s (the host's timeout)\n")


def test_scripts_within_the_timeout_are_left_alone(call: Call) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=PATIENCE_SECONDS))
    assert call(pack, "Shell", "exit 4")[1] == {"stdout": "", "stderr": "", "exit_code": 4}


def test_the_end_of_the_host_ends_scripts(call: Call, fifo: Path) -> None:
    pack = ShellPack(ShellSettings(stop_grace_seconds=0))
    stopping = threading.Event()
    with ThreadPoolExecutor() as pool:
        result = pool.submit(call, pack, "Shell", f"echo begun | tee {fifo}; {HANG}")
        assert ends(fifo) == "begun\n"
        stopping.set()
        pack.flyte_observe(stopping)
        _, payload = result.result(PATIENCE_SECONDS)
    stderr = "flyte-pack-shell: killed because the host is stopping\n"
    assert payload == {"stdout": "begun\n", "stderr": stderr, "exit_code": -1}


RUN = """
import os, sys
from flyte_pack_shell.script import Shell
script = Shell("bash", os.environ, None, 100).start(sys.argv[1])
print("started", flush=True)
script.finish(None)
"""


def test_a_killed_host_takes_its_scripts_along(fifo: Path) -> None:
    script = f"trap '' IO; exec 3>{fifo}; echo begun >&3; {HANG}"
    host = subprocess.Popen([sys.executable, "-c", RUN, script], stdout=subprocess.PIPE)
    with host, fifo.open() as held:
        assert held.readline() == "begun\n"
        assert host.stdout
        assert host.stdout.readline() == b"started\n"  # now the script is tied to it
        host.kill()
        assert held.read() == ""


def test_what_a_script_left_running_outlives_the_host(fifo: Path, tmp_path: Path) -> None:
    os.mkfifo(told := tmp_path / "told")
    script = f"(read word <{told}; echo $word >{fifo}) >&- 2>&- &"
    subprocess.run([sys.executable, "-c", RUN, script], check=True, timeout=PATIENCE_SECONDS)
    told.write_text("alive\n")
    assert ends(fifo) == "alive\n"


def test_a_script_that_is_done_cannot_be_killed() -> None:
    script = Shell("bash", os.environ, None, 100).start("echo done")
    assert script.finish(None) == FinishedScript("done\n", "", 0)
    assert not script.kill("too late")


def test_after_the_end_scripts_do_not_begin() -> None:
    scripts = RunningScripts()
    scripts.end("too late")
    with scripts.keeping(Shell("bash", os.environ, None, 100).start("sleep 300")) as script:
        finished = script.finish(None)
    assert (finished.stderr, finished.exit_code) == ("flyte-pack-shell: too late\n", -1)


def test_too_much_output_is_cut_and_reported(call: Call) -> None:
    pack = ShellPack(ShellSettings(max_output_bytes=10))
    _, payload = call(pack, "Shell", "printf %0200000d 1; echo fine >&2; printf %020d 1 >&2")
    note = "flyte-pack-shell: {} bytes of {} were dropped (max_output_bytes = 10)\n"
    assert payload == {
        "stdout": "0" * 10,
        "stderr": "fine\n00000\n" + note.format(199990, "stdout") + note.format(15, "stderr"),
        "exit_code": 0,
    }


def test_a_character_is_kept_whole_or_not_at_all(call: Call) -> None:
    pack = ShellPack(ShellSettings(max_output_bytes=6))
    _, payload = call(pack, "Shell", "echo -n 12345€; echo -n 1234€ >&2")
    note = "flyte-pack-shell: {} bytes of {} were dropped (max_output_bytes = 6)\n"
    dropped = note.format(3, "stdout") + note.format(3, "stderr")
    assert payload == {"stdout": "12345", "stderr": "1234\n" + dropped, "exit_code": 0}


def test_a_very_long_timeout_is_valid(call: Call) -> None:
    pack = ShellPack(ShellSettings(timeout_seconds=1e9))
    assert call(pack, "Shell", "echo fine")[1]["stdout"] == "fine\n"


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ("head -c 4000000 /dev/zero", 1_166_666),
        (r"head -c 4000000 /dev/zero | tr '\0' '\377'", 2_333_332),
    ],
    ids=["control characters", "not UTF-8"],
)
def test_binary_output_is_cut_by_the_size_of_its_json(call: Call, script: str, kept: int) -> None:
    name, payload = call(ShellPack(ShellSettings()), "Shell", f"{script}; exit 3")
    assert (name, payload["exit_code"], len(payload["stdout"])) == ("Output", 3, kept)
    assert payload["stderr"] == (
        f"flyte-pack-shell: the last {4_000_000 - kept} characters of stdout were dropped: as JSON "
        "it would have more than 7000000 bytes\n"
    )


def test_the_memory_limit_of_the_pack_is_not_the_scripts(call: Call) -> None:
    """As in an isolated process with memory_limit_mb, which limits RLIMIT_DATA."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (8 * 2**30, hard))
    try:
        _, payload = call(ShellPack(ShellSettings()), "Shell", "ulimit -d")
        assert resource.getrlimit(resource.RLIMIT_DATA) == (8 * 2**30, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert payload["stdout"] == "unlimited\n"


def health(pack: ShellPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("bash", False)
    return check.check()


def test_health_says_which_bash() -> None:
    found = health(ShellPack(ShellSettings()))
    assert found.healthy
    assert found.status.startswith("bash ")


def test_health_without_bash() -> None:
    found = health(ShellPack(ShellSettings(bash="/nowhere/bash")))
    assert not found.healthy
    assert "cannot run /nowhere/bash: [Errno 2] No such file or directory" in found.status


def test_health_of_a_bash_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "bash"
    broken.write_text("#!/bin/sh\necho no library >&2\nexit 127\n")
    broken.chmod(0o755)
    found = health(ShellPack(ShellSettings(bash=str(broken))))
    assert found == Health(False, f"{broken} ends with 127: no library")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"stop_grace_seconds": -1}, "stop_grace_seconds: found -1, expected 0 or more"),
        ({"max_output_bytes": -5}, "max_output_bytes: found -5, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        ShellSettings(**settings)
    assert str(raised.value) == text
