"""``flyte-host dev`` as its users run it: processes, signals and a folder that changes."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev_run import FLOW, PACK, DevRun, write_echo_project
from tests.support.script import run_script

READY = "registered as Echo"
ENDED = "the host ended with exit code 2: waiting for a change"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_echo_project(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def module(folder: Path) -> Path:
    return folder / "flyte_pack_echo.py"


@pytest.fixture
def running(folder: Path) -> Iterator[DevRun]:
    with DevRun(folder) as running:
        running.wait_for(READY)
        yield running


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, DevRun]]:
    """A folder that is served for all who put its files back."""
    folder = tmp_path_factory.mktemp("edited") / "project"
    write_echo_project(folder)
    with DevRun(folder) as running:
        running.wait_for(READY)
        yield folder, running


def with_url(words: list[str], url: str) -> list[str]:
    """The command that was offered, at the flyte of a later start."""
    return [*words[:-1], url]


def test_a_change_is_served(running: DevRun, module: Path) -> None:
    words = running.offered()
    assert words[:5] == ["flyte-host", "event", "Chat", "Asked", '{"text": "text"}']
    assert "SUCCESS" in running.raise_event(words)
    assert "flyte has Asked of Chat" in running.wait_for('{"text": "text"}', times=2)
    running.wait_for('flyte has Said of Echo: "one text"')

    module.write_text(PACK.replace("one ", "two "), encoding="utf-8")
    assert "flyte_pack_echo.py" in running.wait_for("changed: ")
    running.wait_for(READY, times=2)
    assert "SUCCESS" in running.raise_event(with_url(words, running.url(times=2)))
    running.wait_for('flyte has Said of Echo: "two text"')

    running.signal(signal.SIGINT)
    assert running.ended() == -signal.SIGINT


def test_a_broken_edit_is_shown_and_the_next_good_one_comes_up(
    running: DevRun, module: Path
) -> None:
    module.write_text(PACK + "x = (\n", encoding="utf-8")
    running.wait_for("SyntaxError: '(' was never closed")
    running.wait_for("plugin echo is broken")
    shown = running.text.split("plugin echo cannot be imported\n")[1].split("plugin echo is")[0]
    assert re.findall(r'File "(.+)", line', shown) == [str(module)]
    module.write_text(PACK, encoding="utf-8")
    running.wait_for(READY, times=2)


@pytest.mark.parametrize(
    ("file", "bad", "says"),
    [
        ("pyproject.toml", "[project", "this is not valid TOML"),
        ("flows/echo.yaml", "name: [", "flyte.embedded.flows: "),
        ("flyte-host.toml", "[paks]", "paks: unknown key"),
    ],
)
def test_a_file_that_cannot_be_read_is_shown(
    edited: tuple[Path, DevRun], file: str, bad: str, says: str
) -> None:
    folder, running = edited
    starts, ends = running.text.count(READY), running.text.count(ENDED)
    good = (folder / file).read_text(encoding="utf-8") if (folder / file).exists() else ""
    (folder / file).write_text(bad, encoding="utf-8")
    running.wait_for(says)
    running.wait_for(ENDED, times=ends + 1)
    (folder / file).write_text(good, encoding="utf-8")
    running.wait_for(READY, times=starts + 1)


def test_a_failure_shows_the_frames_of_the_author(folder: Path, module: Path) -> None:
    failing = 'import json\n        return SAID(json.loads("{" + input))'
    module.write_text(PACK.replace('return SAID("one " + input)', failing), encoding="utf-8")
    with DevRun(folder) as running:
        words = running.offered()
        assert "FATAL" in running.raise_event(words)
        running.wait_for("Say → FATAL")
        assert re.findall(r'File "(.+)", line', running.text) == [str(module)]
        running.wait_for("json.decoder.JSONDecodeError: ")


def test_a_flow_that_is_added_is_offered(running: DevRun, folder: Path) -> None:
    flow = FLOW.replace("name: echo", "name: other").replace("Asked", "Called")
    (folder / "flows" / "other.yaml").write_text(flow, encoding="utf-8")
    running.wait_for("flyte-host event Chat Called")
    assert len([line for line in running.lines if "event Chat Asked" in line]) == 2


def test_the_command_has_its_path_where_a_shell_would_not_find_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with DevRun(folder, activated=False) as running:
        assert running.offered()[0] == str(Path(sys.executable).with_name("flyte-host"))


def test_a_plugin_in_a_process_of_its_own(folder: Path, module: Path) -> None:
    text = '[packs.echo]\nisolation = "process"\n'
    (folder / "flyte-host.toml").write_text(text, encoding="utf-8")
    with DevRun(folder) as running:
        running.wait_for(READY)
        module.write_text(PACK.replace("one ", "two "), encoding="utf-8")
        running.wait_for(READY, times=2)
        words = with_url(running.offered(), running.url(times=2))
        assert "SUCCESS" in running.raise_event(words)
        running.wait_for('flyte has Said of Echo: "two text"')
        running.signal(signal.SIGINT)
        assert running.ended() == -signal.SIGINT


def test_a_large_payload_is_cut(running: DevRun) -> None:
    words = running.offered()
    words[4] = json.dumps({"text": "x" * 2_000})
    assert "SUCCESS" in running.raise_event(words)
    line = running.wait_for("flyte has Said of Echo")
    assert line.endswith("x… (2006 characters)\n")


def test_an_address_that_is_taken(running: DevRun, folder: Path) -> None:
    listen = running.url().removeprefix("http://")
    with DevRun(folder, listen=listen) as second:
        second.wait_for("the host ended with exit code")
        second.wait_for("Address already in use")


def test_without_the_extra(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ImportError('No module named watchfiles')")
    script = "from flyte_host.cli import main; main()"
    done = run_script(script, "dev", folder, status=1, cwd=tmp_path)
    assert "pip install 'flyte-host[dev]'" in done.stderr


def test_a_project_without_flows(folder: Path) -> None:
    (folder / "flows" / "echo.yaml").unlink()
    with DevRun(folder) as running:
        running.wait_for("No flow waits for an event")


def test_data_that_a_plugin_writes_starts_nothing(running: DevRun, folder: Path) -> None:
    (folder / "data.json").write_text("{}")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "module.py").write_text("")
    (folder / "pyproject.toml").touch()
    assert running.wait_for("changed: ").split("changed: ")[1] == "pyproject.toml\n"


def test_a_handler_that_hangs_keeps_nobody(folder: Path, module: Path) -> None:
    hanging = (
        'import threading\n        print("hangs", flush=True)\n        threading.Event().wait()'
    )
    module.write_text(PACK.replace('return SAID("one " + input)', hanging), encoding="utf-8")
    with DevRun(folder) as running:
        running.raise_event([word for word in running.offered() if word != "--watch"])
        running.wait_for("hangs")
        module.write_text(PACK, encoding="utf-8")
        running.wait_for(READY, times=2)
        running.signal(signal.SIGTERM)
        assert running.ended() == -signal.SIGTERM


def test_nothing_is_left_behind_by_a_kill(running: DevRun) -> None:
    running.signal(signal.SIGKILL)
    assert running.ended() == -signal.SIGKILL


def test_a_stop_while_the_next_one_starts(running: DevRun, module: Path) -> None:
    module.touch()
    running.wait_for("changed: ")
    running.signal(signal.SIGINT)
    assert running.ended() == -signal.SIGINT


def test_other_plugins_are_served_if_they_are_configured(folder: Path) -> None:
    text = '[packs.beat]\nplugin = "ticker"\n[packs.beat.settings]\ninterval_seconds = 0.2\n'
    (folder / "flyte-host.toml").write_text(text, encoding="utf-8")
    with DevRun(folder) as running:
        running.wait_for("flyte has Tick of Ticker")
        running.wait_for(READY)
        assert "Shell" not in running.text


def test_a_flyte_that_runs_elsewhere_is_left_alone(folder: Path) -> None:
    text = '[flyte]\nurl = "http://127.0.0.1:9"\n[flyte.embedded]\n'.removesuffix(
        "[flyte.embedded]\n"
    )
    (folder / "flyte-host.toml").write_text(text, encoding="utf-8")
    with DevRun(folder) as running:
        running.wait_for("flyte.url is not used: dev runs its own flyte")
        running.wait_for(READY)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "0.0.0.0:8080"], "expected an address of this machine alone"),
        (["--listen", "8080"], "expected host:port"),
        (["--config", "gone.toml"], "gone.toml: cannot be read"),
    ],
    ids=["everybody", "no host", "no file"],
)
def test_what_cannot_be_done(folder: Path, arguments: list[str], says: str) -> None:
    with DevRun(folder, *arguments) as running:
        running.wait_for(says)
        running.signal(signal.SIGTERM)
        running.ended()


def test_a_folder_that_is_not_a_project(tmp_path: Path) -> None:
    with DevRun(tmp_path) as running:
        running.wait_for("expected the folder of a pack's project")
        assert running.ended() == 2
