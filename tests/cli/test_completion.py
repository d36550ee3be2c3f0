"""Completion as bash asks for it, with the script that people put into their .bashrc."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "complete-in-the-shell.md"
SCRIPT = """
COMPREPLY=()
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_flyte_host_completion flyte-host
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(flyte_host: Callable[..., Any]) -> Complete:
    """What is offered for a line that ends where the cursor is, asked for as the script does."""

    def complete(words: str, environ: Mapping[str, str] | None = None) -> list[str]:
        line = ["flyte-host", *shlex.split(words)]
        asked = {
            "_FLYTE_HOST_COMPLETE": "bash_complete",
            "COMP_WORDS": "\n".join(line),
            "COMP_CWORD": str(len(line) - 1),
        }
        done = flyte_host(environ=asked | dict(environ or {}))
        assert done.stderr == ""
        offers = [offer.split(",") for offer in done.stdout.split()]
        assert {kind for kind, _ in offers} <= {"plain"}
        return [name for _, name in offers]

    return complete


def bash(script: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What a script prints that finds ``flyte-host`` on its PATH."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**environ, "PATH": programs},
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_bash_offers_commands_options_and_packs(
    flyte_host: Callable[..., Any], flyte_host_environ: dict[str, str], tmp_path: Path
) -> None:
    in_bashrc = flyte_host(environ={"_FLYTE_HOST_COMPLETE": "bash_source"}).stdout
    script = in_bashrc + "".join(
        SCRIPT.format(words=f"flyte-host {words}")
        for words in ("se", "serve --str", "docs -c other.toml on")
    )
    (tmp_path / "other.toml").write_text("[packs.one]\nplugin = 'shell'\n")
    assert bash(script, tmp_path, flyte_host_environ).split() == ["serve", "--strict", "one"]


def test_commands_and_options_are_offered(complete: Complete) -> None:
    assert complete("se") == ["serve"]
    assert complete("serve --str") == ["--strict"]


@pytest.mark.parametrize(
    "words", ["run ti", "ctl pause ti", "ctl resume ti", "ctl drain ti", "journal list --pack ti"]
)
def test_packs_of_the_configuration_are_offered(
    complete: Complete, tmp_path: Path, words: str
) -> None:
    (tmp_path / "flyte-host.toml").write_text(
        "[packs.tick-tock]\nplugin = 'shell'\n[packs.other]\n"
    )
    assert complete(words) == ["tick-tock", "ticker"]


def test_the_named_file_is_read(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[packs.one]\nplugin = 'shell'\n")
    assert "one" in complete("run -c other.toml ''")
    assert "one" in complete("docs -c other.toml ''")
    assert "shell" not in complete("run -c other.toml ''")


def test_plugins_are_not_imported(
    complete: Complete, installed: Callable[..., Path], tmp_path: Path
) -> None:
    installed("prints", "open('was-imported', 'w')")
    assert complete("run pri") == ["prints"]
    assert not (tmp_path / "was-imported").exists()


def test_a_broken_configuration_offers_nothing(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "flyte-host.toml").write_text("[packs")
    assert complete("run ''") == []
    assert complete("event ''") == []


@pytest.mark.parametrize("words", ["event --url {url} {}", "executions list --url {url} --pack {}"])
def test_packs_of_flyte_are_offered(complete: Complete, flyte_server: Any, words: str) -> None:
    flyte_server.queue("Nobody", "Nothing")  # registers the pack of the kit
    assert complete(words.format("Fly", url=flyte_server.url)) == ["FlyteTestKit"]
    assert complete(words.format("X", url=flyte_server.url)) == []


def test_a_flyte_that_is_away_offers_nothing(complete: Complete) -> None:
    assert complete("event ''", {"FLYTE_API": "http://127.0.0.1:9"}) == []


def test_the_page_has_the_line_for_each_shell(flyte_host: Callable[..., Any]) -> None:
    lines = "\n".join(block.text for block in blocks_of(PAGE) if block.language == "text")
    for shell in ("bash", "zsh", "fish"):
        assert f"_FLYTE_HOST_COMPLETE={shell}_source flyte-host" in lines
        done = flyte_host(environ={"_FLYTE_HOST_COMPLETE": f"{shell}_source"})
        assert done.returncode == 0
        assert f"_FLYTE_HOST_COMPLETE={shell}_complete" in done.stdout
