"""Streams and arguments as shells hand them over: each oddity is one clear line."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.conftest import Run
from tests.support.own_packs import disabled_packs
from tests.support.script import run_script
from tests.support.serving import Serving
from tests.support.warm_process import WarmProcess

Done = CompletedProcess[bytes]
GREETER = """
from flyte_host import Command, EventDef, PackDef, hookimpl

SAID = EventDef("Said")

@hookimpl
def flyte_pack():
    odd = Command("odd", lambda input: EventDef("Odd")(), [])
    return PackDef("Greeter", commands=[Command("greet", SAID, [SAID]), odd])

import sys
plugin = sys.modules[__name__]
"""


@pytest.fixture
def shell(
    tmp_path: Path, flyte_host_environ: dict[str, str], installed: Callable[[str, str], Path]
) -> Callable[..., Done]:
    """Run a line of shell in which ``flyte_host`` is the command: for what Python does itself."""
    installed("greeter", GREETER)
    (tmp_path / "flyte-host.toml").write_text(disabled_packs())

    def run(line: str) -> Done:
        program = f'flyte_host() {{ "{sys.executable}" -m flyte_host "$@"; }}\n{line}'
        return subprocess.run(
            ["bash", "-c", program], cwd=tmp_path, env=flyte_host_environ,
            capture_output=True, timeout=50, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def start(
    tmp_path: Path, flyte_host_environ: dict[str, str], installed: Callable[[str, str], Path]
) -> Callable[..., WarmProcess]:
    """Start a command with these streams, which are closed here."""
    installed("greeter", GREETER)
    (tmp_path / "flyte-host.toml").write_text(disabled_packs())

    def start(line: str, streams: Mapping[int, int]) -> WarmProcess:
        process = WarmProcess(shlex.split(line), tmp_path, flyte_host_environ, streams)
        for each in set(streams.values()):
            os.close(each)
        return process

    return start


@pytest.fixture
def run(start: Callable[..., WarmProcess]) -> Run:
    """The same, to its end."""

    def run(line: str, streams: Mapping[int, int]) -> CompletedProcess[str]:
        process = start(line, streams)
        stdout, stderr = process.communicate("", PATIENCE_SECONDS)
        return CompletedProcess(line, process.wait(), stdout, stderr)

    return run


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def full_stderr() -> dict[int, int]:
    return {2: full()}


def both_full() -> dict[int, int]:
    return dict.fromkeys((1, 2), full())


def unread_stderr() -> dict[int, int]:
    reads, writes = os.pipe()
    os.close(reads)
    return {2: writes}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened_on_nothing(shell: Callable[..., Done], closed: str) -> None:
    done = shell(f"flyte_host run greeter greet {closed}")
    assert done.returncode == 0
    assert done.stderr == b""
    if ">" not in closed.replace("2>", ""):
        assert json.loads(done.stdout) == {"event": "Said", "payload": None}


@pytest.mark.parametrize("wrong", ["0> /dev/null", "1< /dev/null", "2< /dev/null"])
def test_streams_that_are_open_the_wrong_way_are_as_good_as_closed(
    shell: Callable[..., Done], wrong: str
) -> None:
    """nohup gives its command a stdin that can only be written to."""
    done = shell(f"flyte_host packs --json {wrong}")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("line", ["run greeter greet", "mcp -c mcp.toml"])
def test_commands_that_read_stdin_may_have_it_open_the_wrong_way(
    run: Run, tmp_path: Path, line: str, number: int
) -> None:
    (tmp_path / "mcp.toml").write_text(f"mcp.allow = ['Greeter.*']\n{disabled_packs()}")
    wrong = os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
    done = run(line, {number: wrong})
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_input_that_is_not_there_yet_is_waited_for(start: Callable[..., WarmProcess]) -> None:
    """A program that shares stdin may have made it non-blocking: nothing there is not its end."""
    own, stdin = socket.socketpair()
    stdin.setblocking(False)
    with own, stdin:
        process = start("run greeter greet", {0: os.dup(stdin.fileno())})
        wait_until(lambda: os.get_blocking(stdin.fileno()), "it waits for its input")
        own.sendall(b'"text"')
        own.shutdown(socket.SHUT_WR)
        output, _ = process.communicate("", PATIENCE_SECONDS)
    assert json.loads(output) == {"event": "Said", "payload": "text"}


def test_a_stdin_that_fails_is_told(run: Run) -> None:
    own, stdin = socket.socketpair()
    stdin.sendall(b"unread")
    own.close()
    done = run("run greeter greet", {0: stdin.detach()})
    assert done.returncode == 2
    assert "Error: INPUT: stdin cannot be read: Connection reset by peer" in done.stderr


def test_a_stdin_without_an_end_is_told(run: Run) -> None:
    done = run("run greeter greet", {0: os.open("/dev/zero", os.O_RDONLY)})
    assert done.returncode == 2
    assert "Error: INPUT: stdin cannot be read: it is larger than 64 MB" in done.stderr


def test_a_socket_of_the_host_is_not_a_standard_stream(
    tmp_path: Path, flyte_host_environ: dict[str, str], installed: Callable[[str, str], Path]
) -> None:
    installed("greeter", GREETER)
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte]\nurl = 'http://127.0.0.1:1'\n[health]\nlisten = '127.0.0.1:0'\n"
    )
    under = ["bash", "-c", 'exec "$@" <&- >&-', "bash"]
    with Serving(tmp_path, flyte_host_environ, under=under) as host:
        assert host.health_url
        streams = [Path(f"/proc/{host.pid}/fd/{number}").readlink() for number in (0, 1)]
        assert streams == [Path(os.devnull), Path(os.devnull)]
        host.signal(signal.SIGTERM)
        host.ended()


FULL_STDOUT = "flyte-host: stdout cannot be written: No space left on device\n"


def test_a_full_stdout_is_told_in_one_line(shell: Callable[..., Done]) -> None:
    """Python tries to write it once more at its end."""
    done = shell("flyte_host --help > /dev/full")
    assert (done.returncode, done.stderr.decode()) == (1, FULL_STDOUT)


@pytest.mark.parametrize("line", ["packs", "packs --json", "run greeter greet 1"])
def test_a_full_stdout_of_any_command_is_told_in_one_line(run: Run, line: str) -> None:
    done = run(line, {1: full()})
    assert (done.returncode, done.stderr) == (1, FULL_STDOUT)


@pytest.mark.parametrize("output", ["2> /dev/full", "> /dev/full 2>&1", "2> >(exec 0<&-)"])
def test_a_command_line_that_is_refused_ends_with_2(
    shell: Callable[..., Done], output: str
) -> None:
    """Whatever happens to its words; the last stderr is a pipe that nobody reads."""
    done = shell(f"flyte_host nonsense {output}")
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.parametrize(
    ("line", "streams"),
    [
        *(
            (line, streams)
            for line in ("run greeter greet {", "check -c nope.toml")
            for streams in (full_stderr, both_full, unread_stderr)
        ),
        ("packs -c nope.toml", full_stderr),
        ("packs -c nope.toml", both_full),
        ("--nonsense", full_stderr),
        ("new 7zip", full_stderr),
        ("serve -c nope.toml", full_stderr),
        ("executions list -c nope.toml", full_stderr),
    ],
)
def test_a_command_that_is_refused_ends_with_2(
    run: Run, line: str, streams: Callable[[], Mapping[int, int]]
) -> None:
    assert run(line, streams()).returncode == 2


def test_a_warning_that_nobody_can_read_is_not_a_failure(shell: Callable[..., Done]) -> None:
    done = shell("flyte_host run greeter odd 2>&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"event": "Odd", "payload": None}


def test_a_warning_that_cannot_be_written_is_not_a_failure(run: Run) -> None:
    done = run("run greeter odd", full_stderr())
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"event": "Odd", "payload": None}


@pytest.mark.parametrize(
    "arguments", [("run", "greeter", "greet", b"\xff"), (b"\xff",), ("packs", "-c", b"x\xff.toml")]
)
def test_arguments_that_are_not_utf_8(flyte_host: Run, arguments: tuple[str | bytes, ...]) -> None:
    done = flyte_host(*map(os.fsdecode, arguments))
    assert done.returncode == 2
    assert "found an argument that is not UTF-8: " in done.stderr
    assert "\\xff" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["packs", "check", "flows check x.yaml", "serve"])
def test_a_current_folder_that_is_gone(shell: Callable[..., Done], command: str) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; flyte_host {command}")
    assert done.returncode == 2
    assert b"the current folder cannot be read: No such file or directory" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_byte_order_mark_before_the_input_is_skipped(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(b'\xef\xbb\xbf"text"')
    for line, streams in (
        ("run greeter greet @input.json", {}),
        ("run greeter greet", {0: os.open(file, os.O_RDONLY)}),
    ):
        assert json.loads(run(line, streams).stdout)["payload"] == "text"


def test_a_byte_order_mark_before_an_event_and_a_flow_is_skipped(run: Run, tmp_path: Path) -> None:
    event = json.dumps({"pack": "P", "event": "E", "payload": 1})
    step = {"id": "s", "event": {"packName": "P", "name": "E"}}
    step["command"] = {"packName": "Greeter", "name": "greet", "input": "x"}
    flow = json.dumps({"name": "f", "steps": [step]})
    for name, text in (("event.json", event), ("flow.json", flow)):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    done = run("flows test flow.json --event event.json", {})
    assert (done.returncode, done.stderr) == (0, "")
    assert "step s: fires" in done.stdout


HELP = """
from flyte_host.cli import main
for words in ["", "serve", "journal retry", "flows test"]:
    main([*words.split(), "--help"], prog_name="flyte-host", standalone_mode=False)
"""


def test_help_is_there_without_docstrings() -> None:
    with_docstrings = run_script(HELP).stdout
    assert with_docstrings.count("Usage: ") == 4
    assert run_script(HELP, python=["-OO"]).stdout == with_docstrings


@pytest.mark.parametrize(
    ("zone", "warned"),
    [
        ("Europe/Nowhere", True),
        ("EUROPE", True),
        ("Europe/London", False),
        (":Europe/London", False),
        ("/etc/passwd", True),
        ("/dev/zero", True),
        ("/no/such/file", True),
        (str(Path(zoneinfo.TZPATH[0]) / "Europe/London"), False),
        ("UTC", False),
        ("CET-1CEST", False),
        ("<+03>-3", False),
        ("", False),
    ],
)
def test_an_unknown_time_zone_is_told(flyte_host: Run, zone: str, warned: bool) -> None:
    words = f"TZ={zone} is not a known time zone: times are in UTC"
    assert (words in flyte_host("serve", environ={"TZ": zone}).stderr) == warned


def test_check_and_flyte_tell_an_unknown_time_zone(flyte_host: Run, tmp_path: Path) -> None:
    store = "[flyte.embedded]\nstore = 'none/flyte.db'\n"
    (tmp_path / "flyte-host.toml").write_text(store + disabled_packs())
    words = "TZ=EUROPE is not a known time zone: times are in UTC"
    assert f"warning: {words}\n" in flyte_host("check", environ={"TZ": "EUROPE"}).stdout
    assert words in flyte_host("flyte", environ={"TZ": "EUROPE"}).stderr
