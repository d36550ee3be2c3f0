"""What flows see: the contract of the Go pack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_shell import ShellPack, ShellSettings

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


def test_bytes_that_are_no_text_become_replacement_characters(call: Call) -> None:
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
def test_input_that_is_no_string(call: Call, document: object, found: str) -> None:
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
            " is it installed, and are the settings bash and working_directory right?"
        ),
    )


def test_a_script_that_no_process_can_take_is_fatal(call: Call) -> None:
    name, payload = call(SHELL, "Shell", "echo \0")
    assert (name, payload.split(";")[0]) == ("FATAL", "cannot run bash: embedded null byte")


def test_scripts_start_where_the_setting_says(call: Call, tmp_path: Path) -> None:
    pack = ShellPack(ShellSettings(working_directory=str(tmp_path)))
    assert call(pack, "Shell", "pwd -P")[1]["stdout"] == f"{tmp_path.resolve()}\n"


def test_a_missing_working_directory_is_named(call: Call, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    name, payload = call(ShellPack(ShellSettings(working_directory=gone)), "Shell", "pwd")
    assert name == "FATAL"
    assert f"No such file or directory: '{gone}'" in payload
