"""flyte-host executions, event and flows list, show, put, delete, as real processes."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from flyte_host import Command, EventDef, PackDef, fatal_event, hookimpl
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS

Run = Callable[..., CompletedProcess[str]]
DONE = EventDef("Done")


class DoerOrFailer:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef(
            "Worker",
            commands=[
                Command("Do", DONE, [DONE]),
                Command("Fail", lambda _: fatal_event("no such disk"), []),
            ],
        )


def flow(name: str, event: str, command: str, **fields: Any) -> dict[str, Any]:
    pack, _, called = command.partition(".")
    only = {
            "id": "only", "event": {"packName": "Me", "name": event},
            "command": {"packName": pack, "name": called, "input": "{{ Event.Payload }}"},
    }  # fmt: skip
    return {"name": name, "steps": [only | fields]}


@pytest.fixture
def ask(flyte_host: Run, flyte_server: FlyteServer) -> Run:
    """Run a command against the flyte of the test."""
    return lambda *arguments, **more: flyte_host(*arguments, "--url", flyte_server.url, **more)


def only_id(done: CompletedProcess[str]) -> str:
    [found] = json.loads(done.stdout)["executions"]
    return str(found["id"])


def test_an_event_is_raised_and_watched_to_its_end(
    ask: Run, flyte_server: FlyteServer, flyte_run_host: Any
) -> None:
    flyte_run_host({"worker": DoerOrFailer})
    flyte_server.put_flow(flow("good", "Hello", "Worker.Do"))
    flyte_server.put_flow(flow("bad", "Bad", "Worker.Fail"))
    unknown = ask("event", "Me", "Hello", "1")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "flyte does not know pack 'Me'; --register registers it" in unknown.stderr
    done = ask("event", "Me", "Hello", "@-", "--register", "--watch")
    assert done.returncode == 2
    done = ask("event", "Me", "Hello", '"Ada"', "--register", "--watch")
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"good [0-9a-f]{24}: step only: SUCCESS Worker.Do → Done: \"Ada\"\n", done.stdout
    )
    failed = ask("event", "Me", "Bad", stdin="7")
    assert failed.stdout == "raised Bad of Me\n"
    failed = ask("event", "Me", "Bad", "7", "--watch")
    assert failed.returncode == 1
    assert 'FATAL Worker.Fail → FATAL: "no such disk"' in failed.stdout
    silent = ask("event", "Me", "Helo", "7", "--watch")
    assert (
        'it has led to nothing: no flow waits for Me.Helo (did you mean "Me.Hello"?)'
        in silent.stdout
    )

    listed = ask("executions", "list", "--state", "FATAL").stdout.splitlines()
    assert [line.split()[1:3] for line in listed[1:]] == [["bad", "FATAL"]] * 2
    assert ask("executions", "list", "--pack", "Nobody").stdout == "no execution\n"
    found = ask("executions", "list", "--text", "ada", "--since", "2h", "--json")
    shown = ask("executions", "show", only_id(found))
    assert "flow good: SUCCESS" in shown.stdout
    assert 'on Me.Hello of Me, payload "Ada"' in shown.stdout
    assert re.search(r"only +Worker.Do +SUCCESS .* Done: \"Ada\"$", shown.stdout, re.MULTILINE)


def test_the_end_of_an_id_is_enough(ask: Run, flyte_server: FlyteServer) -> None:
    flyte_server.put_flow(flow("f", "Hello", "Nobody.Do"))
    assert ask("event", "Me", "Hello", "1", "--register").returncode == 0
    name = only_id(ask("executions", "list", "--json"))
    action = json.loads(ask("executions", "show", name, "--json").stdout)["actions"][0]["id"]
    for end in (name[-8:], f"…{action[-8:]}"):
        assert f"execution {name} of" in ask("executions", "show", end).stdout


def test_why_a_step_waits(ask: Run, flyte_server: FlyteServer) -> None:
    flyte_server.put_flow(flow("f", "Hello", "Wroker.Do"))
    assert ask("event", "Me", "Hello", "1", "--register", "--label", "a=b").returncode == 0
    name = only_id(ask("executions", "list", "--flow", "f", "--json"))
    done = ask("executions", "why", name)
    assert "no pack 'Wroker' is registered" in done.stdout
    [step] = json.loads(ask("executions", "why", name, "--json").stdout)["steps"]
    assert (step["step"], step["did"]) == ("only", "NEW")
    unknown = ask("executions", "why", "12")
    assert (unknown.returncode, unknown.stderr) == (
        1, "flyte-host: flyte has no execution '12'; flyte-host executions list shows them\n"
    )  # fmt: skip
    document = json.loads(ask("executions", "show", name, "--json").stdout)
    assert document["actions"][0]["packName"] == "Wroker"


def test_why_of_an_event_explains_the_last_one(ask: Run, flyte_server: FlyteServer) -> None:
    flyte_server.put_flow(flow("picky", "Hi", "Wroker.Do", criteria="{{ Event.Payload > 1 }}"))
    flyte_server.put_flow(flow("broken", "Bad", "Wroker.Do", context={"a": "{{ nofn() }}"}))
    assert ask("executions", "why", "Me.Hi").stdout == (
        "flyte does not remember an event Me.Hi; picky waits for Me.Hi and has started nothing: "
        "its labels did not fit, its criteria was false, or a template failed; try it with "
        "flyte-host flows test\n"
    )
    assert ask("event", "Me", "Hi", "2", "--register").returncode == 0
    started = ask("executions", "why", "Me.Hi").stdout
    assert re.match(r"flow picky, on Me.Hi of Me: RUNNING \(execution [0-9a-f]{24}\)\n", started)
    assert "only: NEW: Wroker.Do has waited for" in started
    document = json.loads(ask("executions", "why", "Me.Hi", "--json").stdout)
    assert document["event"]["payload"] == 2
    assert document["executions"][0]["steps"][0]["did"] == "NEW"
    assert ask("event", "Me", "Hi", "1").returncode == 0
    assert ask("executions", "why", "Me.Hi").stdout == (
        "flow picky, step only does not run: "
        "criteria is 'False', where Event.Payload is 1, a float\n"
    )
    assert ask("event", "Me", "Hy", "1").returncode == 0
    unheard = 'no flow waits for Me.Hy (did you mean "Me.Hi"?)\n'
    assert ask("executions", "why", "Me.Hy").stdout == unheard
    watched = ask("event", "Me", "Bad", "1", "--watch").stdout
    assert re.search(r": SKIPPED\n  only: skipped: on Me.Bad: context.a: ", watched)


def test_an_event_that_is_watched_says_why_its_action_waits(
    flyte_server: FlyteServer, flyte_host_environ: dict[str, str]
) -> None:
    flyte_server.put_flow(flow("f", "Hello", "Wroker.Do"))
    flyte_server.put_flow(flow("g", "Hello", "Wroker.Do", criteria="false"))
    command = [sys.executable, "-m", "flyte_host", "event", "Me", "Hello", "1", "--register",
               "--watch", "--url", flyte_server.url]  # fmt: skip
    with subprocess.Popen(
        command, env=flyte_host_environ, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "raised Hello of Me\n"
        assert "step only: queued Wroker.Do\n" in watching.stdout.readline()
        assert "step only: waits: no pack 'Wroker' is registered" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_SECONDS) == -signal.SIGINT


def test_watching_tells_what_changes(
    flyte_server: FlyteServer, flyte_host_environ: dict[str, str]
) -> None:
    flyte_server.put_flow(flow("f", "Hello", "Worker.Do"))
    command = [sys.executable, "-m", "flyte_host", "executions", "watch", "--url", flyte_server.url]
    with subprocess.Popen(
        command,
        env=flyte_host_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "watching, until Ctrl-C\n"
        flyte_server.queue("Worker", "Do", 1)
        assert "step run: queued Worker.Do\n" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_SECONDS) == -signal.SIGINT
        assert watching.stdout.read() == "", "no traceback"


def test_flows_are_stored_listed_shown_and_deleted(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps(flow("f", "Hello", "Worker.Do")), encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("name: 1\nsteps: 7\n", encoding="utf-8")
    assert ask("flows", "list").stdout == "no flow\n"
    refused = ask("flows", "put", "f.json", "bad.yaml")
    assert refused.returncode == 2
    assert "bad.yaml" in refused.stderr
    assert ask("flows", "list").stdout == "no flow\n"
    assert ask("flows", "put", "f.json").stdout == "stored flow f\n"
    assert ask("flows", "list").stdout.splitlines()[1].split() == ["f", "1", "Me.Hello", "-"]
    [listed] = json.loads(ask("flows", "list", "--json").stdout)["flows"]
    assert listed["steps"][0]["command"]["packName"] == "Worker"
    assert json.loads(ask("flows", "show", "f").stdout)["name"] == "f"
    unknown = ask("flows", "show", "F")
    assert "flyte has no flow 'F' (did you mean \"f\"?)" in unknown.stderr
    deleted = ask("flows", "delete", "f", "g")
    assert (deleted.returncode, deleted.stdout) == (1, "deleted flow f\n")
    assert "flyte has no flow 'g'" in deleted.stderr


def test_where_flyte_is(flyte_host: Run, flyte_server: FlyteServer, tmp_path: Path) -> None:
    file = tmp_path / "flyte-host.toml"
    address = flyte_server.url.removeprefix("http://")
    file.write_text(f'[flyte.embedded]\nlisten = "{address}"\n', encoding="utf-8")
    assert flyte_host("executions", "list").stdout == "no execution\n"
    file.write_text('[flyte.embedded]\nlisten = "127.0.0.1:0"\n', encoding="utf-8")
    unknown = flyte_host("executions", "list")
    assert unknown.returncode == 2
    assert "say with --url where flyte is" in unknown.stderr
    away = flyte_host("executions", "list", "--url", "http://127.0.0.1:1")
    assert away.returncode == 1
    assert (
        "flyte at http://127.0.0.1:1: GET http://127.0.0.1:1/v1: connection refused" in away.stderr
    )


@pytest.mark.parametrize("given", ["10", "min", "-1h", "1y", "1000000000d", "1.5h"])
def test_a_duration_that_is_none(flyte_host: Run, given: str) -> None:
    done = flyte_host("executions", "list", f"--since={given}")
    assert done.returncode == 2
    assert "such as 10min" in done.stderr


def test_what_was_missed_is_a_table(ask: Run, flyte_server: FlyteServer) -> None:
    assert ask("executions", "missed").stdout == "nothing was missed\n"
    flyte_server.put_flow(
        flow("picky", "Hello", "Worker.Do", criteria="{{ Event.Payload.n == 1 }}")
    )
    assert ask("event", "Me", "Hello", '{"n": 2}', "--register").returncode == 0
    assert ask("event", "Me", "Helo", "0").returncode == 0
    done = ask("executions", "missed")
    assert (done.returncode, done.stderr) == (0, "")
    head, unheard, missed = [re.split(" {2,}", line) for line in done.stdout.splitlines()]
    assert head == ["TIME", "FLOW", "STEP", "EVENT", "WHY"]
    assert missed[1:4] == ["picky", "only", "Me.Hello"]
    assert "where Event.Payload.n is 2" in missed[4]
    assert unheard[1:] == ["-", "-", "Me.Helo", 'no flow waits for it (did you mean "Me.Hello"?)']
    of_flow = ask("executions", "missed", "--flow", "picky").stdout.splitlines()
    assert len(of_flow) == 2
