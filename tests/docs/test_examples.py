"""Every example in the documentation runs, or is read by the code that would read it."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from flyte_host import Action, Event
from flyte_host.config import load_config
from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.auth.policy_file import read_policy
from flyte_host.errors import ConfigError
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import (
    ELSEWHERE,
    PAGES,
    ROOT,
    Block,
    all_blocks,
    blocks_of,
    prose_of,
    write_files,
)
from tests.support.commands import check_options

KNOWN = {"go", "promql", "python", "toml", "yaml", "json", "sh", "text", "ini", "dockerfile"}
ABSOLUTE = re.compile(r'"(/(?:etc|run|var)/[^"]+)"')
BESIDE = re.compile(r'"([\w-]+\.(?:yaml|json))"')
PROGRAMS = {
    "mkdir", "cd", "echo", "docker", "install", "kubectl", "mypy", "ruff", "systemctl", "useradd",
}  # fmt: skip
ADDRESS_KEYS = ("packName", "packLabels", "name")
STEP_KEYS = {
    "id", "dependsOn", "event", "context", "criteria", "command", "command.input",
    *(f"event.{key}" for key in ADDRESS_KEYS), *(f"command.{key}" for key in ADDRESS_KEYS),
}  # fmt: skip
PATHS_OF_FLYTE = re.compile(r"/v1/(packs(/\w+/events)?|audit/flows(\?flowName=[\w-]+)?)")
PATHS_OF_HEALTH = {"/", "/live", "/ready", "/metrics", "/status"}
CHECKED_ELSEWHERE = {"prometheus.yml", "flyte-host.rules.yml", "kubernetes.yaml"}
"""By ``test_metrics_pages`` and ``test_deploy``."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_blocks_have_a_language_that_is_checked(path: Path) -> None:
    blocks = blocks_of(path)
    if path.name in ELSEWHERE:
        assert path.name in ELSEWHERE[path.name].read_text(encoding="utf-8")
    else:
        assert {each.language for each in blocks} <= KNOWN
    assert "```" not in prose_of(path)


# TOML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", all_blocks("toml"), ids=str)
def test_toml(block: Block, tmp_path: Path) -> None:
    if block.title.endswith("pyproject.toml"):
        assert "flyte_host.packs" in tomllib.loads(block.text)["project"]["entry-points"]
        return
    problems = _problems(block, tmp_path)
    assert problems == "" or problems == _next_text(block)


def _problems(block: Block, tmp_path: Path) -> str:
    """The problems that the host finds, with every absolute path moved below ``tmp_path``."""
    text = ABSOLUTE.sub(lambda found: f'"{tmp_path}{found[1]}"', block.text)
    for found in ABSOLUTE.findall(block.text):
        (tmp_path / found.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / found.lstrip("/")).touch()
    for found in BESIDE.findall(block.text):
        (tmp_path / found).touch()
    file = tmp_path / "flyte-host.toml"
    file.write_text(text, encoding="utf-8")
    shows_the_lack_of_flyte = "neither url" in _next_text(block)
    try:
        load_config(file, {}, flyte_needed=shows_the_lack_of_flyte)
    except ConfigError as error:
        return str(error).replace(f"{tmp_path}/", "")
    return ""


def _next_text(block: Block) -> str:
    """The expected problems: the text block that follows on the page."""
    following = [each for each in blocks_of(block.path) if each.line > block.line]
    text = following[0].text if following and following[0].language == "text" else ""
    return text.rstrip("\n")


# YAML and JSON ---------------------------------------------------------------------------------


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_yaml(block: Block) -> None:
    if block.title in CHECKED_ELSEWHERE:
        return
    document = yaml.safe_load(block.text)
    if isinstance(document, list):
        read_policy(block.text, source=str(block))
        return
    if "steps" in document:
        assert set().union(*map(_keys_of_step, document["steps"])) <= STEP_KEYS
        flyte = EmbeddedFlyte(":memory:")
        try:
            assert flyte.put_flow(block.text, source=str(block)) == document["name"]
        finally:
            flyte.close()
        return
    probes = list(_probes(document))
    assert probes
    assert {each["path"] for each in probes} <= PATHS_OF_HEALTH
    assert {each["port"] for each in probes} == {8090}


def _keys_of_step(step: dict[str, Any]) -> set[str]:
    """The keys of a step. flyte ignores unknown ones, so the test must find a misspelled key."""
    inner = [f"{part}.{key}" for part in ("event", "command") for key in step[part]]
    return {*step, *inner}


def _probes(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if "httpGet" in document:
            yield document["httpGet"]
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from _probes(each)


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_json(block: Block) -> None:
    assert json.loads(block.text)


# Python ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python(block: Block) -> None:
    code = compile(block.text, str(block), "exec")
    if block.title:
        return  # runs below, with the other files of its page
    if "def " in block.text or "class " in block.text:
        return  # a signature of the reference, which is generated
    known = {"Any": Any, "Action": Action, "Awaitable": Awaitable, "Callable": Callable}
    exec(code, known | {"Event": Event})


def pages_with_tests() -> list[Path]:
    titled = [each for each in all_blocks("python") if each.title.startswith("test_")]
    return sorted({each.path for each in titled})


@pytest.mark.parametrize("path", pages_with_tests(), ids=lambda path: path.name)
def test_tests_of_a_page_pass(path: Path, tmp_path: Path) -> None:
    shown = [each for each in write_files(path, tmp_path) if each.name.startswith("test_")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
         "-p", "no:schemathesis",  # no reader has it, and it takes long to import
         f"--basetemp={tmp_path / 'temp'}", *(each.name for each in shown)],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_have_tests() -> None:
    names = {each.name for each in pages_with_tests()}
    assert names >= {"README.md", "first-pack.md", "test-a-pack.md"}


# Shell -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_shell(block: Block) -> None:
    subprocess.run(
        ["bash", "-n", "-c", block.text], check=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    commands = list(_commands(block.text))
    assert commands
    for words in commands:
        _check_command(words)


def _commands(text: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|;\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, "\n"]:
        if word.strip(";|\n"):
            words.append(word)
        elif words:
            yield words
            words = []


def _check_command(words: list[str]) -> None:
    while "=" in words[0]:
        words = words[1:]
    program, *arguments = words
    match Path(program).name, arguments:
        case "flyte-host", _:
            check_options(arguments)
        case "make", [target, *variables]:
            assert all("=" in each for each in variables)
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        case "curl", _:
            _check_address(next(each for each in arguments if each.startswith("http")))
        case "python3" | "python", _:
            _check_python(arguments)
        case name, _:
            assert name in PROGRAMS


def _check_python(arguments: list[str]) -> None:
    match arguments:
        case ["-m", "pip", "install", *wanted]:
            for each in wanted:
                _check_installed(each)
        case ["-m", "pytest", *options]:
            paths = [each for each in options if each.startswith("tests/")]
            assert [each for each in paths if not (ROOT / each).exists()] == []
        case ["-c", code, *_]:
            compile(code, "<page>", "exec")
        case ["-m", name, *_]:
            assert name in {"json.tool", "venv"} or find_spec(name) is not None
        case _:
            assert (ROOT / arguments[0]).is_file()


def _check_address(address: str) -> None:
    path = re.sub(r"^https?://[^/]+", "", address)
    assert path in PATHS_OF_HEALTH or PATHS_OF_FLYTE.fullmatch(path), address


def _check_installed(word: str) -> None:
    folder = re.sub(r"\[[\w,]+\]$", "", word).replace("$HOME/flyte-host/", "./")
    if folder.startswith("./"):
        assert (ROOT / folder / "pyproject.toml").is_file()
    else:
        assert folder in {
            "--editable", ".", "pytest", "$HOME/flyte-host", "--upgrade", "pip", "--group", "dev"
        }  # fmt: skip


@pytest.mark.parametrize(
    "command", [["serve", "--no-such-option"], ["no-such-command"], ["run", "pack"]]
)
def test_commands_that_do_not_exist_are_found(command: list[str]) -> None:
    with pytest.raises(click.UsageError):
        check_options(command)
