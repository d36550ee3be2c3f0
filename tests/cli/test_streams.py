"""Streams and arguments as shells hand them over: each oddity is one clear line."""

import json
import os
import signal
import socket
import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.conftest import Run
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

Done = subprocess.CompletedProcess[bytes]
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
    """Run a line of shell in which ``flyte_host`` is the command."""
    installed("greeter", GREETER)
    (tmp_path / "flyte-host.toml").write_text(disabled_packs())

    def run(line: str, python: str = "") -> Done:
        program = f'flyte_host() {{ "{sys.executable}" {python} -m flyte_host "$@"; }}\n{line}'
        return subprocess.run(
            ["bash", "-c", program], cwd=tmp_path, env=flyte_host_environ,
            capture_output=True, timeout=50, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened_on_nothing(shell: Callable[..., Done], closed: str) -> None:
    done = shell(f"flyte_host run greeter greet {closed}")
    assert done.returncode == 0
    assert done.stderr == b""
    if ">" not in closed.replace("2>", ""):
        assert json.loads(done.stdout) == {"event": "Said", "payload": None}


@pytest.mark.parametrize("wrong", ["0> /dev/null", "1< /dev/null", "2< /dev/null"])
@pytest.mark.parametrize("line", ["run greeter greet", "packs --json", "mcp -c mcp.toml"])
def test_streams_that_are_open_the_wrong_way_are_as_good_as_closed(
    shell: Callable[..., Done], tmp_path: Path, line: str, wrong: str
) -> None:
    """nohup gives its command a stdin that can only be written to."""
    (tmp_path / "mcp.toml").write_text(f"mcp.allow = ['Greeter.*']\n{disabled_packs()}")
    done = shell(f"flyte_host {line} {wrong}")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.fixture
def greet(
    tmp_path: Path, flyte_host_environ: dict[str, str], installed: Callable[[str, str], Path]
) -> Callable[[socket.socket], subprocess.Popen[bytes]]:
    """Run a command that takes its input from a socket."""
    installed("greeter", GREETER)
    (tmp_path / "flyte-host.toml").write_text(disabled_packs())

    def start(stdin: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "flyte_host", "run", "greeter", "greet"],
            cwd=tmp_path, env=flyte_host_environ, stdin=stdin.fileno(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_input_that_is_not_there_yet_is_waited_for(
    greet: Callable[[socket.socket], subprocess.Popen[bytes]],
) -> None:
    """A program that shares stdin may have made it non-blocking: nothing there is not its end."""
    own, stdin = socket.socketpair()
    stdin.setblocking(False)
    with own, stdin, greet(stdin) as process:
        wait_until(lambda: os.get_blocking(stdin.fileno()), "it waits for its input")
        own.sendall(b'"text"')
        own.shutdown(socket.SHUT_WR)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert json.loads(output) == {"event": "Said", "payload": "text"}


def test_a_stdin_that_fails_is_told(
    greet: Callable[[socket.socket], subprocess.Popen[bytes]],
) -> None:
    own, stdin = socket.socketpair()
    stdin.sendall(b"unread")
    own.close()
    with stdin, greet(stdin) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert b"Error: INPUT: stdin cannot be read: Connection reset by peer" in errors


def test_a_stdin_without_an_end_is_told(shell: Callable[..., Done]) -> None:
    done = shell("flyte_host run greeter greet < /dev/zero")
    assert done.returncode == 2
    assert b"Error: INPUT: stdin cannot be read: it is larger than 64 MB" in done.stderr


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


@pytest.mark.parametrize("line", ["--help", "packs", "packs --json", "run greeter greet 1"])
def test_a_full_stdout_is_told_in_one_line(shell: Callable[..., Done], line: str) -> None:
    done = shell(f"flyte_host {line} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (b"flyte-host: stdout cannot be written: No space left on device\n")


@pytest.mark.parametrize("output", ["2> /dev/full", "> /dev/full 2>&1"])
def test_a_full_stderr_keeps_the_exit_code(shell: Callable[..., Done], output: str) -> None:
    done = shell(f"flyte_host packs -c nope.toml {output}")
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.parametrize(
    ("line", "output"),
    [
        *(
            (line, output)
            for line in ("nonsense", "run greeter greet '{'", "check -c nope.toml")
            for output in ("2> /dev/full", "> /dev/full 2>&1", "2> >(exec 0<&-)")
        ),
        ("--nonsense", "2> /dev/full"),
        ("new 7zip", "2> /dev/full"),
        ("serve -c nope.toml", "2> /dev/full"),
        ("executions list -c nope.toml", "2> /dev/full"),
    ],
)
def test_a_command_that_is_refused_ends_with_2(
    shell: Callable[..., Done], line: str, output: str
) -> None:
    """Whatever happens to its words; the last stderr is a pipe that nobody reads."""
    done = shell(f"flyte_host {line} {output}")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("output", ["2> /dev/full", "2>&-"])
def test_a_warning_that_nobody_can_read_is_not_a_failure(
    shell: Callable[..., Done], output: str
) -> None:
    done = shell(f"flyte_host run greeter odd {output}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"event": "Odd", "payload": None}


@pytest.mark.parametrize(
    "arguments", ["run greeter greet $'\\xff'", "$'\\xff'", "packs -c $'x\\xff.toml'"]
)
def test_arguments_that_are_not_utf_8(shell: Callable[..., Done], arguments: str) -> None:
    done = shell(f"flyte_host {arguments}")
    assert done.returncode == 2
    assert b"found an argument that is not UTF-8: " in done.stderr
    assert b"\\xff" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["packs", "check", "flows check x.yaml", "serve"])
def test_a_current_folder_that_is_gone(shell: Callable[..., Done], command: str) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; flyte_host {command}")
    assert done.returncode == 2
    assert b"the current folder cannot be read: No such file or directory" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_byte_order_mark_before_the_input_is_skipped(
    shell: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "input.json").write_bytes(b'\xef\xbb\xbf"text"')
    for line in ("run greeter greet @input.json", "run greeter greet < input.json"):
        assert json.loads(shell(f"flyte_host {line}").stdout)["payload"] == "text"


def test_a_byte_order_mark_before_an_event_and_a_flow_is_skipped(
    shell: Callable[..., Done], tmp_path: Path
) -> None:
    event = json.dumps({"pack": "P", "event": "E", "payload": 1})
    step = {"id": "s", "event": {"packName": "P", "name": "E"}}
    step["command"] = {"packName": "Greeter", "name": "greet", "input": "x"}
    flow = json.dumps({"name": "f", "steps": [step]})
    for name, text in (("event.json", event), ("flow.json", flow)):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    done = shell("flyte_host flows test flow.json --event event.json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"step s: fires" in done.stdout


def test_help_is_there_without_docstrings(shell: Callable[..., Done]) -> None:
    for line in ("--help", "serve --help", "journal retry --help", "flows test --help"):
        with_docstrings = shell(f"flyte_host {line}")
        assert b"Usage" in with_docstrings.stdout
        assert shell(f"flyte_host {line}", python="-OO").stdout == with_docstrings.stdout


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
