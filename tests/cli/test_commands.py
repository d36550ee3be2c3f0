"""The command line as people and scripts meet it: output, exit codes, real processes."""

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from flyte_host import cli
from flyte_host.cli.common import echo, echo_json, words_for_errors
from flyte_host.cli.packs import print_rows
from flyte_host.client.engine import find_engine
from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.flow import Flow
from flyte_host.errors import FlyteHostError
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from tests.support.own_packs import disabled_packs
from tests.support.scripted_server import ScriptedServer, reply

Run = Callable[..., CompletedProcess[str]]
Install = Callable[..., Path]

GREETER = """
from flyte_host import Command, EventDef, PackDef, fatal_event, hookimpl

GREETED = EventDef("Greeted")

class plugin:
    def __init__(self, settings: dict):
        self.settings = settings

    @hookimpl
    def flyte_pack(self):
        return PackDef("Greeter", commands=[
            Command("greet", self.greet, [GREETED]),
            Command("fail", lambda input: fatal_event("no"), []),
            Command("hang", self.hang, [], timeout_seconds=0.05),
            Command("leak", self.leak, []),
        ])

    def greet(self, input: str):
        return GREETED({"hello": input})

    def hang(self, input):
        import threading
        threading.Event().wait()

    def leak(self, input):
        raise RuntimeError("cannot log in with " + self.settings["password"])
"""
ADD_ON = """
from flyte_host import Command, EventDef, hookimpl

class plugin:
    @hookimpl
    def flyte_commands(self, pack):
        return [Command("extra", lambda input: EventDef("Extra")(pack.name), [EventDef("Extra")])]
"""
BROKEN = "import no_such_module\n"


@pytest.fixture
def site(installed: Install) -> Install:
    installed("greeter", GREETER)
    return installed


def config(tmp_path: Path, text: str) -> None:
    (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")


def rows(done: CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_version_and_help(flyte_host: Run) -> None:
    assert flyte_host("--version").stdout.startswith("flyte-host 0.")
    commands = flyte_host("--help").stdout
    assert all(each in commands for each in ("serve", "check", "packs", "run", "Exit codes"))


def test_packs_as_table(site: Install, flyte_host: Run, tmp_path: Path) -> None:
    site("broken", BROKEN)
    site("extras", ADD_ON)
    config(tmp_path, "[packs.off]\nplugin = 'greeter'\nenabled = false\n[packs.greeter]\n")
    done = flyte_host("packs")
    assert done.returncode == 0
    lines = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    commands, events = "fail, greet, hang, leak, extra (by extras)", "Greeted, Extra (by extras)"
    greeter = next(line for line in lines if line[0] == "greeter")
    assert greeter[1:5] == ["greeter", "1.2.3", "loaded", "Greeter"]
    assert sorted(greeter[5].split(", ")) == sorted(commands.split(", "))
    assert greeter[6:] == [events]
    extras = next(line for line in lines if line[0] == "extras")
    assert extras[1:4] == ["extras", "1.2.3", "loaded"]
    assert re.fullmatch(r"\(add-on to .*greeter.*\)", extras[4])
    assert extras[5:] == ["extra", "Extra"]
    assert ["off", "greeter", "1.2.3", "disabled", "-", "-", "-"] in lines
    assert ["broken", "broken", "1.2.3", "broken", "-", "-", "-"] in lines
    assert "off is disabled: enabled = false" in done.stdout
    assert "broken is broken: import: ModuleNotFoundError: No module named" in done.stdout


FORGED = "x\n2026-01-01 00:00:00 CRITICAL gone\x1b[31m\x9b0m\u2028\u202e"
SEEN = r"x\n2026-01-01 00:00:00 CRITICAL gone\x1b[31m\x9b0m\u2028\u202e"
FORGER = f"""
from flyte_host import Command, EventDef, PackDef, hookimpl

class plugin:
    @hookimpl
    def flyte_pack(self):
        done = EventDef("Done")
        return PackDef("Forger", commands=[Command("say", lambda input: done({FORGED!r}), [done])])
"""


def test_text_of_others_forges_no_line_and_no_table(installed: Install, flyte_host: Run) -> None:
    installed("forger", FORGER)
    installed("liar", f"raise ValueError({FORGED!r})")
    table = flyte_host("packs").stdout
    [reason] = [line for line in table.split("\n") if line.startswith("liar is broken")]
    assert "import: ValueError: x" in reason
    assert all(char.isprintable() or char == "\n" for char in table)
    event = flyte_host("run", "forger", "say", "1").stdout
    assert json.loads(event)["payload"] == FORGED
    assert all(char.isprintable() or char == "\n" for char in event)


def test_lines_and_cells_show_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    echo(FORGED)
    echo(FORGED, err=True)
    assert tuple(capsys.readouterr()) == (f"{SEEN}\n", f"{SEEN}\n")
    echo_json(json.dumps({"a": FORGED}, indent=2, ensure_ascii=False))
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a": FORGED}
    assert len(printed.splitlines()) == 3


def test_an_error_shows_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), words_for_errors(Scrubber()):
        raise FlyteHostError("one\nline\x1b[2J", "another")
    assert capsys.readouterr().err == "flyte-host: one\\nline\\x1b[2J\nflyte-host: another\n"


@pytest.mark.parametrize(
    "path", sorted(Path(cli.__file__).parent.glob("*.py")), ids=lambda path: path.name
)
def test_every_command_prints_by_the_functions_that_escape(path: Path) -> None:
    text = path.read_text("utf-8")
    found = re.findall(r"click\.s?echo|\bprint\(|std(?:out|err)\.write", text)
    of_tables = ["click.echo", "print("]  # they escape each cell, see test_table.py
    assert len(found) == text.count("\ndef echo") or (path.name, found) == ("table.py", of_tables)


def test_packs_as_json(site: Install, flyte_host: Run) -> None:
    greeter = rows(flyte_host("packs", "--json"))["greeter"]
    assert greeter == {
        "name": "greeter",
        "plugin": "greeter",
        "status": "loaded",
        "reason": "",
        "distribution": "greeter",
        "version": "1.2.3",
        "pack": "Greeter",
        "commands": ["greet", "fail", "hang", "leak"],
        "events": ["Greeted"],
        "given": {
            "greeter": {"commands": ["greet", "fail", "hang", "leak"], "events": ["Greeted"]}
        },
        "adds": {},
        "settings_schema": {"type": "object"},
        "input_schemas": {"greet": {"type": "string"}, "fail": {}, "hang": {}, "leak": {}},
    }


def test_packs_names_two_distributions_with_one_entry_point(
    installed: Install, flyte_host: Run
) -> None:
    installed("twin", GREETER, distribution="first")
    installed("twin", GREETER, distribution="second")
    reason = rows(flyte_host("packs", "--json"))["twin"]["reason"]
    assert reason == "first and second both have a plugin 'twin': uninstall one of them"


def test_packs_without_any_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], Scrubber())
    assert capsys.readouterr().out == (
        "no plugins are installed: pip install one, its entry point is all it needs\n"
    )


def test_packs_tells_what_add_ons_gave_as_json(site: Install, flyte_host: Run) -> None:
    site("extras", ADD_ON)
    site("idle", "from flyte_host import hookimpl\n\nclass plugin:\n"
         "    @hookimpl\n    def flyte_commands(self, pack):\n        return []\n")  # fmt: skip
    found = rows(flyte_host("packs", "--json"))
    extra = {"commands": ["extra"], "events": ["Extra"]}
    own = {"commands": ["greet", "fail", "hang", "leak"], "events": ["Greeted"]}
    assert found["greeter"]["given"] == {
        "greeter": own, "extras": extra, "idle": {"commands": [], "events": []},
    }  # fmt: skip
    assert found["extras"]["adds"]["greeter"] == extra
    assert found["greeter"]["adds"] == {}
    assert "(add-on)" in flyte_host("packs").stdout


def test_packs_hides_secrets_in_names(capsys: pytest.CaptureFixture[str]) -> None:
    scrubber = Scrubber()
    scrubber.learn("hunter2-hunter2")
    row = {
        "name": "a", "plugin": "b", "version": "1", "status": "loaded", "reason": "hunter2-hunter2",
        "pack": "hunter2-hunter2", "given": {}, "adds": {},
    }  # fmt: skip
    print_rows([row], scrubber)
    printed = capsys.readouterr().out
    assert "hunter2" not in printed
    assert printed.count("***") == 2


def test_run_prints_the_event(site: Install, flyte_host: Run) -> None:
    done = flyte_host("run", "greeter", "greet", '"Ada"')
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {"event": "Greeted", "payload": {"hello": "Ada"}},
    )


def test_run_reports_an_event_that_is_not_declared(site: Install, flyte_host: Run) -> None:
    undeclared = GREETER.replace("self.greet, [GREETED]", "self.greet, []")
    site("other", undeclared.replace('"Greeter"', '"Other"'))
    done = flyte_host("run", "other", "greet", '"Ada"')
    assert (done.returncode, json.loads(done.stdout)["event"]) == (0, "Greeted")
    assert "greet does not declare Greeted: flow writers cannot know of it" in done.stderr


def test_run_reads_a_file(site: Install, flyte_host: Run, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('"Grace"', encoding="utf-8")
    done = flyte_host("run", "greeter", "greet", "@input.json")
    assert json.loads(done.stdout)["payload"] == {"hello": "Grace"}


def test_run_reads_stdin(site: Install, flyte_host: Run) -> None:
    done = flyte_host("run", "greeter", "greet", stdin='"Linus"')
    assert json.loads(done.stdout)["payload"] == {"hello": "Linus"}


def test_run_takes_nothing_as_null(site: Install, flyte_host: Run) -> None:
    done = flyte_host("run", "greeter", "greet")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "event": "FATAL",
        "payload": "command 'greet': input: expected str, got null",
    }


@pytest.mark.parametrize(
    ("command", "payload"),
    [("fail", "no"), ("hang", "command 'hang' did not finish within 0.05 s")],
)
def test_run_ends_with_1_for_fatal(
    site: Install, flyte_host: Run, command: str, payload: str
) -> None:
    done = flyte_host("run", "greeter", command, "null")
    assert (done.returncode, json.loads(done.stdout)) == (
        1,
        {"event": "FATAL", "payload": payload},
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["greeter", "greet", "not json"], 2, "INPUT is not valid JSON: JSON is malformed"),
        (
            ["greeter", "greet", '"\\ud800"'],
            2,
            "a string has half a surrogate pair such as",
        ),
        (["greeter", "greet", '"a'], 2, "INPUT is not valid JSON: Input data was truncated"),
        (["greeter", "greet", "@missing.json"], 2, "INPUT @missing.json: No such file"),
        (["greter", "greet", "1"], 1, "no pack 'greter' (did you mean \"greeter\"?)"),
        (["Greeter", "great", "1"], 1, "has no command 'great' (did you mean \"greet\"?)"),
        (["broken", "greet", "1"], 3, "pack 'broken' is broken: import: ModuleNotFoundError"),
        (["Broken", "greet", "1"], 1, "; broken, as flyte-host packs explains: broken\n"),
    ],
)
def test_run_says_what_is_wrong(
    site: Install, flyte_host: Run, arguments: list[str], code: int, words: str
) -> None:
    site("broken", BROKEN)
    done = flyte_host("run", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count(words.partition(": ")[2] or words) == 1
    assert done.stdout == ""


PASSWORD = "[packs.mail.settings]\npassword = 'hunter2'\n"
ANY_PORT = "[health]\nlisten = '127.0.0.1:0'\n"


def test_check_says_what_would_be_registered(
    site: Install, flyte_host: Run, tmp_path: Path, flyte_server: FlyteServer
) -> None:
    config(
        tmp_path,
        f"[flyte]\nurl = '{flyte_server.url}'\n[packs.greeter.labels]\nenv = 'x'\n{ANY_PORT}",
    )
    done = flyte_host("check")
    assert "configuration: good" in done.stdout
    assert (
        "pack greeter: registers as Greeter.env.x; commands greet, fail, hang, leak; events Greeted"
        in done.stdout
    )
    assert f"flyte: reachable at {flyte_server.url}, by {find_engine().name}\n" in done.stdout
    assert flyte_server.packs() == []
    assert not list(tmp_path.glob("*.db"))


def test_check_of_a_configuration_with_problems(flyte_host: Run, tmp_path: Path) -> None:
    config(tmp_path, "[flyte]\nurll = 'x'\n[host]\nmax_concurrent = 0\n")
    done = flyte_host("check")
    assert done.returncode == 2
    assert 'did you mean "url"' in done.stderr
    assert "host.max_concurrent: found 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_with_a_broken_plugin(
    site: Install, flyte_host: Run, flyte_server: FlyteServer
) -> None:
    site("broken", BROKEN)
    done = flyte_host("check", environ={"FLYTE_API": flyte_server.url})
    assert done.returncode == 3
    assert "broken: import: ModuleNotFoundError" in done.stderr
    assert "pack greeter: registers as Greeter" in done.stdout


def test_check_finds_everything_at_once(site: Install, flyte_host: Run, tmp_path: Path) -> None:
    """The exit code is that of the configuration, which comes first."""
    site("broken", BROKEN)
    config(
        tmp_path,
        "[flyte.embedded]\nflows = ['none.yaml']\n"
        "[traces]\nurl = 'http://127.0.0.1:1'\nheaders = { k = { env = 'NO_SUCH_VARIABLE' } }\n"
        f"[host]\nstate = 'none/host.db'\n{disabled_packs()}",
    )
    done = flyte_host("check")
    assert done.returncode == 2
    assert "broken: import: ModuleNotFoundError" in done.stderr
    assert "host.state: " in done.stderr
    assert "NO_SUCH_VARIABLE" in done.stderr
    assert "no file matches" in done.stderr


def test_check_without_flyte(flyte_host: Run, tmp_path: Path) -> None:
    """The plugins that are installed beside ours are good or not set up: flyte alone is missing."""
    config(tmp_path, "[flyte]\nurl = 'http://127.0.0.1:1'\n")
    done = flyte_host("check")
    assert done.returncode == 1
    assert "pack shell: registers as Shell" in done.stdout
    assert "jira is not set up: url: missing; set it in the pack's settings or" in done.stdout
    assert "flyte at http://127.0.0.1:1: " in done.stderr


def test_check_of_embedded_flows(flyte_host: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nsteps: 7\n", encoding="utf-8")
    config(
        tmp_path,
        f"[flyte.embedded]\nflows = ['bad.yaml', 'none.yaml']\n{disabled_packs()}",
    )
    done = flyte_host("check")
    assert done.returncode == 2
    assert "bad.yaml" in done.stderr
    assert "no file matches" in done.stderr


def test_check_names_the_flows_that_serve_would_delete(flyte_host: Run, tmp_path: Path) -> None:
    store = EmbeddedFlyte(tmp_path / "flyte.db")
    store.put_file_flows([Flow("old", "", ()), Flow("kept", "", ())])
    store.close()
    (tmp_path / "kept.yaml").write_text(
        "name: kept\nsteps: []  # flows check: allow F014\n", encoding="utf-8"
    )
    embedded = "[flyte.embedded]\nlisten = '127.0.0.1:0'\nflows = ['kept.yaml']\n"
    config(tmp_path, f"{embedded}{disabled_packs()}{ANY_PORT}")
    done = flyte_host("check")
    assert done.returncode == 0
    gone = "flyte: flow old is no longer in any file: serve will delete it"
    assert [line for line in done.stdout.splitlines() if "in any file" in line] == [gone]


CONSTANT = """name: x
steps:
- event: {packName: P, name: E}
  criteria: "yes"
  command: {packName: Q, name: c}
"""


def test_check_of_configured_flows(flyte_host: Run, tmp_path: Path) -> None:
    """flyte would store this flow, but it never runs."""
    (tmp_path / "bad.yaml").write_text(CONSTANT, encoding="utf-8")
    embedded = "[flyte.embedded]\nlisten = '127.0.0.1:0'\nflows = ['bad.yaml']\n"
    config(tmp_path, f"{embedded}{disabled_packs()}{ANY_PORT}")
    done = flyte_host("check")
    assert done.returncode == 2
    assert "bad.yaml:4: F007 steps[0].criteria is always wrong" in done.stderr
    assert "bad.yaml:3: F008 warning: steps[0].event.packName is 'P'" in done.stdout


def test_check_finds_ports_in_use_and_missing_folders(
    flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    address = flyte_server.url.removeprefix("http://")
    config(
        tmp_path,
        f"[flyte]\nurl = '{flyte_server.url}'\n[health]\nlisten = '{address}'\n"
        f"[host]\nstate = 'none/host.db'\n{disabled_packs()}",
    )
    done = flyte_host("check")
    assert done.returncode == 1
    assert f"health pages: cannot listen on {address}: " in done.stderr
    assert "host.state: " in done.stderr
    assert f"its folder {tmp_path / 'none'} does not exist; create it" in done.stderr


def test_check_keeps_a_path_with_a_line_break_on_its_line(
    flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    state = '[host]\nstate = "no\\nflyte-host: all is well/host.db"\n'
    config(tmp_path, f"[flyte]\nurl = '{flyte_server.url}'\n{state}{disabled_packs()}{ANY_PORT}")
    [line] = flyte_host("check").stderr.splitlines()
    assert line.startswith("flyte-host: host.state: ")
    assert r"no\nflyte-host: all is well does not exist" in line


def test_check_does_not_wait_for_a_configuration_that_nobody_writes(
    flyte_host: Run, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "flyte-host.toml")
    done = flyte_host("check")
    assert done.returncode == 2
    words = "cannot be read: it is a pipe that nobody writes to"
    assert done.stderr == f"flyte-host: flyte-host.toml: {words}\n"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://HOST/elsewhere", "this is not a flyte: GET http://HOST/elsewhere/v1 was"),
        ("https://HOST", "https at a port that speaks http: HTTP/"),
    ],
)
def test_check_of_addresses_that_are_almost_right(
    flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path, url: str, words: str
) -> None:
    address = flyte_server.url.removeprefix("http://")
    url, words = url.replace("HOST", address), words.replace("HOST", address)
    config(tmp_path, f"[flyte]\nurl = '{url}'\n{disabled_packs()}{ANY_PORT}")
    done = flyte_host("check")
    assert done.returncode == 1
    assert words in done.stderr


def test_check_of_traces(flyte_host: Run, tmp_path: Path) -> None:
    text = '[flyte.embedded]\n[traces]\nurl = "http://127.0.0.1:1"\n'
    file = tmp_path / "flyte-host.toml"
    file.write_text(text, encoding="utf-8")
    assert "traces: sent to http://127.0.0.1:1\n" in flyte_host("check").stdout
    file.write_text(text + 'headers = { key = { env = "NOBODY_SET_IT" } }\n', encoding="utf-8")
    done = flyte_host("check")
    assert done.returncode == 2
    assert "traces.headers.key: " in done.stderr


def test_check_warns_of_a_secret_in_clear_text(flyte_host: Run, tmp_path: Path) -> None:
    config(tmp_path, f"[flyte]\nurl = 'http://127.0.0.1:1'\n{PASSWORD}{disabled_packs()}")
    done = flyte_host("check")
    key = "packs.mail.settings.password"
    assert (
        f'warning: {key} looks like a secret in clear text; write {{env = "NAME"}}' in done.stdout
    )
    assert "hunter2" not in done.stdout + done.stderr


def test_check_asks_the_issuer_for_a_token(
    flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    with ScriptedServer() as issuer:
        issuer.on("POST /token", reply(401, b'{"error": "invalid_client"}'))
        oidc = f"oidc = {{ client_id = 'host', token_url = '{issuer.url}/token' }}\n"
        url = f"[flyte]\nurl = '{flyte_server.url}'\n"
        config(tmp_path, f"{url}{oidc}{disabled_packs()}{ANY_PORT}")
        done = flyte_host("check", environ={"FLYTE_CLIENT_SECRET": "s3cret"})
    assert done.returncode == 1
    assert "there is no token for flyte: " in done.stderr
    assert "found status 401 (invalid_client), expected 200 with a token" in done.stderr


def test_check_reads_the_token(flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path) -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 86400, "aud": ["flyte", "x"]}').decode().rstrip("=")
    url = f"[flyte]\nurl = '{flyte_server.url}'\ntoken = {{ env = 'FLYTE_TOKEN' }}\n"
    config(tmp_path, f"{url}{disabled_packs()}{ANY_PORT}")
    done = flyte_host("check", environ={"FLYTE_TOKEN": f"e30.{claims}.c2ln"})
    assert "flyte: the token expires at 1970-01-02 00:00:00 UTC, aud: flyte, x\n" in done.stdout
    assert done.returncode == 1
    assert "flyte.token: the token expired at 1970-01-02 00:00:00 UTC; get a new" in done.stderr
    assert flyte_host("check", environ={"FLYTE_TOKEN": "opaque"}).returncode == 0


def test_serve_strict_refuses_broken_plugins(
    installed: Install, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    installed("broken", BROKEN)
    config(tmp_path, f"[flyte]\nurl = '{flyte_server.url}'\n[health]\nlisten = '127.0.0.1:0'\n")
    done = flyte_host("serve", "--strict")
    assert done.returncode == 3
    assert "broken plugins (--strict): " in done.stderr
    assert flyte_server.packs() == []


def test_serve_needs_a_flyte(flyte_host: Run) -> None:
    done = flyte_host("serve")
    assert done.returncode == 2
    assert "[flyte.embedded]" in done.stderr


def test_serve_on_a_port_in_use(flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path) -> None:
    address = flyte_server.url.removeprefix("http://")
    config(tmp_path, f"[flyte]\nurl = '{flyte_server.url}'\n[health]\nlisten = '{address}'\n")
    done = flyte_host("serve")
    assert done.returncode == 1
    assert f"health pages: cannot listen on {address}: Address already in use" in done.stderr


def test_secrets_are_in_no_output(
    site: Install, flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path
) -> None:
    """A canary in a setting and in the token: in no table, log line, event or error."""
    canary = "canary-7f3a9c"
    config(
        tmp_path,
        f"[flyte]\nurl = '{flyte_server.url}'\n"
        "[packs.greeter.settings]\npassword = {env = 'CANARY'}\n"
        f"{disabled_packs('shell')}",
    )
    environ = {"CANARY": canary, "FLYTE_JWT": canary + "-token"}
    outputs = ""
    for arguments in (
        ["packs", "--json", "--log-level", "debug"],
        ["packs"],
        ["check", "--log-level", "debug"],
        ["run", "greeter", "leak", "null", "--log-level", "debug", "--log-format", "json"],
        ["run", "greeter", "leak", "null", "--log-level", "debug"],
    ):
        done = flyte_host(*arguments, environ=environ)
        outputs += done.stdout + done.stderr
    assert "cannot log in with ***" in outputs
    assert canary not in outputs
