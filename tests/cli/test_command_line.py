"""What is imported before a command runs, and that its stand-in says the same as a command."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from flyte_host.cli import main
from flyte_host.cli.lazy_group import LazyGroup
from tests.support.commands import commands_of
from tests.support.own_packs import disabled_packs
from tests.support.script import run_script

MODULES_OF = """
import runpy, sys
sys.argv = ["flyte-host", *sys.argv[1:]]
try:
    runpy.run_module("flyte_host", run_name="__main__")
except SystemExit as done:
    code = done.code
sys.stderr.write(" ".join([str(code), *sys.modules]))
"""
SERVERS = {"uvicorn", "starlette", "httptools", "anyio"}
EXTRAS = {"jinja2", "yaml", "re2", "jwt", "prometheus_client"}
CLIENT = {"requests", "urllib3", "http.client", "ssl"}
PLUGINS = {"pluggy", "importlib_metadata", "flyte_host.plugins", "flyte_host.isolation"}
HOST = {"flyte_host.host.host", "flyte_host.health", "flyte_host.embedded"}
PIPELINE = {"sqlite3", "asyncio", "flyte_host.pipeline"}
DOCUMENTS = {"msgspec", "tomli", "flyte_host.config", "flyte_host.model"}
RARE = {"difflib", "email.policy", "html.entities", "sysconfig", "zoneinfo"}
"""Large modules of the standard library that only errors and a few settings need."""
ALL = RARE | SERVERS | EXTRAS | CLIENT | PLUGINS | HOST | PIPELINE | DOCUMENTS


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        ("--help", ALL),
        ("--version", ALL),
        ("new --help", ALL | {"importlib.metadata"}),
        ("new pager", ALL - PLUGINS - DOCUMENTS),
        ("ctl --help", ALL - DOCUMENTS),
        ("flows --help", ALL - DOCUMENTS - PLUGINS),
        ("packs", ALL - DOCUMENTS - PLUGINS),
        ("check", RARE | SERVERS | EXTRAS | HOST),
    ],
)
def test_what_a_command_does_not_need_is_not_imported(
    arguments: str, unneeded: set[str], tmp_path: Path, flyte_host_environ: dict[str, str]
) -> None:
    (tmp_path / "flyte-host.toml").write_text(disabled_packs("shell"))
    done = run_script(
        MODULES_OF,
        *arguments.split(),
        cwd=tmp_path,
        env=flyte_host_environ | {"FLYTE_API": "http://127.0.0.1:9"},
    )
    code, *imported = done.stderr.splitlines()[-1].split()
    assert code == ("1" if arguments == "check" else "0"), done.stderr
    assert unneeded & set(imported) == set()


def test_a_group_lists_its_commands_as_they_describe_themselves() -> None:
    [(_, flows)] = [each for each in commands_of(main) if each[0] == "flows"]
    for group in (main, flows):
        assert isinstance(group, LazyGroup)
        for name, command in commands_of(group):
            assert summary(group.commands[name]) == summary(command)
            assert command.name == name


def test_a_group_lists_its_commands_in_whole_sentences() -> None:
    """On the 80 columns of a terminal; click cuts longer ones."""
    groups = [(name, each) for name, each in [("flyte-host", main), *commands_of(main)]]
    for name, group in groups:
        if isinstance(group, click.Group):
            shown = group.get_help(click.Context(group, info_name=name, terminal_width=80))
            assert "..." not in shown.partition("Commands:")[2], name


def summary(command: click.Command) -> str:
    return command.get_short_help_str(limit=10_000)


def test_an_unknown_command_is_named(
    flyte_host: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    """In a separate process: the command line ends the one that it runs in."""
    done = flyte_host("sevre")
    assert done.returncode == 2
    assert "No such command 'sevre'" in done.stderr
