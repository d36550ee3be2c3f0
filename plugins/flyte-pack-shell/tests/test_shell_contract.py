"""What flows see: the contract of the Go pack."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_shell import ShellPack, ShellSettings
from flyte_pack_shell.script import CannotRun, Shell

from flyte_host.testing import Example, check_contract

Call = Callable[..., Any]

SHELL = ShellPack(ShellSettings())


def test_the_definition_is_the_go_packs() -> None:
    pack = SHELL.flyte_pack()
    assert (pack.name, dict(pack.labels), list(pack.event_defs)) == ("Shell", {}, [])
    assert pack.help_url == "https://github.com/ExpediaGroup/flyte-shell/blob/master/README.md"
    [command] = pack.commands
    assert command.name == "Shell"
    assert [event.name for event in command.output_events] == ["Output"]
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs() -> None:
    check_contract(ShellPack, {"stop_grace_seconds": 0.1}, examples=[Example("Shell", "echo hi")])


def test_output_is_unmodified(call: Call) -> None:
    assert call(SHELL, "Shell", "echo hi; echo bad >&2; exit 3") == (
        "Output",
        {"stdout": "hi\n", "stderr": "bad\n", "exit_code": 3},
    )


def test_it_is_bash_and_not_any_shell(call: Call) -> None:
    _, payload = call(SHELL, "Shell", 'words=(a b); echo -n "${words[1]}"')
    assert payload == {"stdout": "b", "stderr": "", "exit_code": 0}


def test_stdin_is_empty(call: Call) -> None:
    _, payload = call(SHELL, "Shell", "cat; echo end")
    assert payload["stdout"] == "end\n"


def test_bytes_that_are_not_text_become_replacement_characters(call: Call) -> None:
    _, payload = call(SHELL, "Shell", r"printf 'a\xffb\xc3\xa9'; printf '\xfe' >&2")
    assert payload == {"stdout": "a\ufffdbé", "stderr": "\ufffd", "exit_code": 0}


@pytest.mark.parametrize("document", [None, ""])
def test_no_script(call: Call, document: str | None) -> None:
    assert call(SHELL, "Shell", document) == (
        "Output",
        {"stdout": "", "stderr": "No script supplied to handler", "exit_code": 1},
    )


@pytest.mark.parametrize(
    ("document", "found"),
    [(5, "number"), (1.5, "number"), (True, "bool"), ([], "array"), ({"script": "x"}, "object")],
)
def test_input_that_is_not_a_string(call: Call, document: object, found: str) -> None:
    text = f"json: cannot unmarshal {found} into Go value of type string"
    assert call(SHELL, "Shell", document) == (
        "Output",
        {"stdout": "", "stderr": text, "exit_code": 1},
    )


def test_a_signal_is_exit_code_minus_one(call: Call) -> None:
    _, payload = call(SHELL, "Shell", "echo before; kill -9 $$")
    assert payload == {"stdout": "before\n", "stderr": "", "exit_code": -1}


def test_a_child_that_holds_stdout_keeps_the_action_open(call: Call) -> None:
    _, payload = call(SHELL, "Shell", "(sleep 0.3; echo late) & echo early")
    assert payload["stdout"] == "early\nlate\n"


def test_a_missing_bash_is_fatal_and_says_so(call: Call) -> None:
    pack = ShellPack(ShellSettings(bash="/nowhere/bash"))
    assert call(pack, "Shell", "echo") == (
        "FATAL",
        (
            "cannot run /nowhere/bash: [Errno 2] No such file or directory: '/nowhere/bash';"
            " is it installed, and is the setting bash right?"
        ),
    )


@pytest.mark.parametrize("padding", ["", " " * 200_000], ids=["short", "long"])
def test_a_script_with_a_nul_is_fatal(call: Call, padding: str) -> None:
    assert call(SHELL, "Shell", f"echo \0{padding}") == (
        "FATAL",
        "cannot run the script: embedded null byte: a script cannot have a NUL in it",
    )


def test_a_script_with_half_a_surrogate_pair_is_fatal() -> None:
    with pytest.raises(CannotRun, match="a script cannot have half a surrogate pair in it"):
        Shell("bash", {}, None, 100).start("echo \ud800")


@pytest.mark.parametrize("filler", ["#\n", ": ä\n"])
def test_a_long_script_means_what_a_short_one_means(call: Call, filler: str) -> None:
    body = 'echo "$0 $#"; cat; set -u; echo "${1-none}"; (exit 5)\nexit $?'
    long = filler * 200_000 + body
    assert call(SHELL, "Shell", long) == call(SHELL, "Shell", body)
    assert call(SHELL, "Shell", long)[1] == {
        "stdout": "bash 0\nnone\n",
        "stderr": "",
        "exit_code": 5,
    }


def test_an_environment_that_is_too_large_is_named(call: Call) -> None:
    pack = ShellPack(ShellSettings(), {"PATH": "/usr/bin:/bin", "LARGE": "x" * 200_000})
    name, payload = call(pack, "Shell", "echo")
    assert name == "FATAL"
    assert payload == (
        "cannot run the script: Argument list too long: the environment of the host is too large; "
        "list in the setting environment what scripts need"
    )


def test_a_bash_that_is_not_a_program_is_named(call: Call, tmp_path: Path) -> None:
    text = tmp_path / "bash"
    text.write_text("no program")
    text.chmod(0o755)
    name, payload = call(ShellPack(ShellSettings(bash=str(text))), "Shell", "echo")
    assert (name, payload.partition("; ")[2]) == ("FATAL", "the setting bash must name a program")


def test_a_machine_without_room_for_a_process_is_named() -> None:
    problem = Shell("bash", {}, None, 1)._explain(OSError(errno.EAGAIN, "no room"))
    assert problem.endswith("; the system cannot start another process at the moment")


def test_scripts_start_where_the_setting_says(call: Call, tmp_path: Path) -> None:
    pack = ShellPack(ShellSettings(working_directory=str(tmp_path)))
    assert call(pack, "Shell", "pwd -P")[1]["stdout"] == f"{tmp_path.resolve()}\n"


def test_a_missing_working_directory_is_named(call: Call, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    name, payload = call(ShellPack(ShellSettings(working_directory=gone)), "Shell", "pwd")
    assert name == "FATAL"
    assert payload.endswith(
        f"No such file or directory: '{gone}'; "
        "the setting working_directory must name a folder that can be entered"
    )
