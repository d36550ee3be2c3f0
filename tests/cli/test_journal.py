"""``flyte-host journal`` in real processes, without a host and beside a running one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from flyte_host.cli.entry_rows import age_words as age_in_words
from flyte_host.clock import Clock
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.journal import Journal
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.waiting import wait_until
from tests.cli.test_commands import GREETER
from tests.support.host_parts import ECHO, OK, PackPlugin
from tests.support.journal_file import write_delivered, write_result, write_taken

Run = Callable[..., CompletedProcess[str]]


def state(tmp_path: Path) -> Path:
    return tmp_path / "flyte-host.db"


def taken(number: int, command: str = "greet", document: bytes = b'"Ada"') -> Taken:
    return Taken(f"a{number}", command, document, f"v1/packs/Greeter/actions/a{number}/result")


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """r1 taken, r2 waiting, r3 delivered, r4 and e2 parked, e1 waiting."""
    journal = Journal(state(tmp_path), Clock())
    opened = [write_taken(journal, "greeter", "Greeter", taken(number)) for number in range(1, 5)]
    _, third, fourth = [write_result(journal, each, b'{"event":"Greeted"}') for each in opened[1:]]
    write_delivered(journal, third)
    journal.park(fourth, "flyte does not know the action")
    journal.emit("ticker", b'{"event":"Tick"}')
    journal.park(journal.emit("greeter", b'{"event":"Bye","payload":[1]}'), "400")
    journal.close()
    return state(tmp_path)


def listed(flyte_host: Run, *options: str) -> dict[str, dict[str, Any]]:
    done = flyte_host("journal", "list", "--json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["entry"]: row for row in json.loads(done.stdout)}


def states(flyte_host: Run) -> dict[str, str]:
    return {name: row["state"] for name, row in listed(flyte_host, "--all").items()}


def test_the_list_has_all_but_what_is_delivered(filled: Path, flyte_host: Run) -> None:
    done = flyte_host("journal")
    heads, *lines = [line.split() for line in done.stdout.splitlines()]
    assert heads == ["ENTRY", "KIND", "PACK", "COMMAND", "ACTION", "STATE", "AGE", "REASON"]
    assert [line[:6] for line in lines] == [
        ["r1", "action", "greeter", "greet", "a1", "taken"],
        ["r2", "action", "greeter", "greet", "a2", "waiting"],
        ["r4", "action", "greeter", "greet", "a4", "parked"],
        ["e1", "event", "ticker", "-", "-", "waiting"],
        ["e2", "event", "greeter", "-", "-", "parked"],
    ]
    assert " ".join(lines[2][8:]) == "flyte does not know the action"
    assert lines[1][8:] == ["-"]
    assert lines[0][7] == "s"
    assert (done.returncode, done.stderr) == (0, "")


def test_text_of_others_stays_in_its_cell(tmp_path: Path, flyte_host: Run) -> None:
    journal = Journal(state(tmp_path), Clock())
    write_taken(journal, "greeter", "Greeter", taken(1, command="x\nr9  action\x1b[8m\x85"))
    journal.close()
    _, line = flyte_host("journal").stdout.split("\n", 1)
    assert line.split()[:5] == ["r1", "action", "greeter", r"x\nr9", r"action\x1b[8m\x85"]
    assert line.count("\n") == 1
    document = flyte_host("journal", "list", "--json").stdout
    assert json.loads(document)[0]["command"] == "x\nr9  action\x1b[8m\x85"
    assert "\x85" not in document


def test_the_list_as_json(filled: Path, flyte_host: Run) -> None:
    done = flyte_host("journal", "--json", "--state", "parked", "--pack", "greeter")
    fourth, event = json.loads(done.stdout)
    since, age = fourth.pop("since"), fourth.pop("age_seconds")
    assert since.endswith("Z")
    assert 0 <= age < 60
    assert fourth == {
        "entry": "r4",
        "kind": "action",
        "pack": "greeter",
        "command": "greet",
        "action": "a4",
        "state": "parked",
        "reason": "flyte does not know the action",
    }
    assert (event["entry"], event["kind"], event["command"], event["action"]) == (
        "e2", "event", None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["r1", "r2", "r4", "e1", "e2"]),
        (["--all"], ["r1", "r2", "r3", "r4", "e1", "e2"]),
        (["--state", "delivered"], ["r3"]),
        (["--state", "taken", "--state", "waiting"], ["r1", "r2", "e1"]),
        (["--pack", "ticker"], ["e1"]),
        (["--all", "--pack", "other"], []),
    ],
)
def test_the_list_can_be_narrowed(
    filled: Path, flyte_host: Run, options: list[str], names: list[str]
) -> None:
    assert list(listed(flyte_host, *options)) == names


def test_an_empty_list_says_so(tmp_path: Path, flyte_host: Run) -> None:
    Journal(state(tmp_path), Clock()).close()
    assert flyte_host("journal").stdout == "no entry is taken or waiting or parked\n"
    assert json.loads(flyte_host("journal", "--json").stdout) == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86_400 * 2.5, "2 d")],
)
def test_ages_are_short(seconds: float, shown: str) -> None:
    assert age_in_words(seconds) == shown


def test_show_has_input_and_result(filled: Path, flyte_host: Run) -> None:
    shown = json.loads(flyte_host("journal", "show", "r4").stdout)
    assert (shown["entry"], shown["input"], shown["result"]) == ("r4", "Ada", {"event": "Greeted"})
    assert (shown["attempt"], shown["replaced"], shown["state"]) == (1, False, "parked")
    assert shown["taken_at"] <= shown["since"]
    assert json.loads(flyte_host("journal", "show", "r1").stdout)["result"] is None


def test_show_tells_step_and_trace(tmp_path: Path, flyte_host: Run) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    journal = Journal(state(tmp_path), Clock())
    step = StepRun("flow", "step", "e1")
    write_taken(journal, "greeter", "Greeter", replace(taken(1), step=step, trace=trace))
    write_taken(journal, "greeter", "Greeter", taken(2))
    journal.emit("greeter", b"{}", trace)
    journal.close()
    known, unknown, event = [
        json.loads(flyte_host("journal", "show", each).stdout) for each in ("r1", "r2", "e1")
    ]
    assert known["step"] == {"flow": "flow", "step": "step", "execution": "e1"}
    assert known["trace"] == event["trace"] == trace[3:35]
    assert (unknown["step"], unknown["trace"]) == (None, None)


def test_show_has_no_escapes_of_go(tmp_path: Path, flyte_host: Run) -> None:
    journal = Journal(state(tmp_path), Clock())
    body = rb'{"event":"Bye","payload":"a \u003E b \u0026 \\u003e \n"}'
    journal.park(journal.emit("greeter", body), "400")
    journal.close()
    shown = flyte_host("journal", "show", "e1").stdout
    assert r'"a > b & \\u003e \n"' in shown
    assert json.loads(shown)["event"] == json.loads(body)


def test_show_of_an_event_has_the_event(filled: Path, flyte_host: Run) -> None:
    shown = json.loads(flyte_host("journal", "show", "e2").stdout)
    assert shown["event"] == {"event": "Bye", "payload": [1]}
    assert "input" not in shown


def test_what_is_parked_can_be_retried(filled: Path, flyte_host: Run) -> None:
    done = flyte_host("journal", "retry", "r4", "e2", "r4")
    assert (done.returncode, done.stdout) == (0, "retried: r4 e2\n")
    rows = listed(flyte_host)
    assert (rows["r4"]["state"], rows["r4"]["reason"]) == ("waiting", "")
    assert (rows["e2"]["state"], rows["e2"]["reason"]) == ("waiting", "")


def test_all_that_is_parked_can_be_retried(filled: Path, flyte_host: Run) -> None:
    done = flyte_host("journal", "retry", "--parked", "--json")
    assert json.loads(done.stdout) == {"retried": ["r4", "e2"]}
    assert flyte_host("journal", "retry", "--parked").stdout == "nothing is parked\n"
    assert flyte_host("journal", "drop", "--parked").stdout == "nothing is parked\n"


def test_what_is_dropped_is_gone(filled: Path, flyte_host: Run) -> None:
    done = flyte_host("journal", "drop", "--yes", "r2", "r3", "e1")
    assert (done.returncode, done.stdout) == (0, "dropped: r2 r3 e1\n")
    assert list(states(flyte_host)) == ["r1", "r4", "e2"]
    done = flyte_host("journal", "drop", "--parked", "--yes", "--json")
    assert json.loads(done.stdout) == {"dropped": ["r4", "e2"]}


def test_drop_asks_before(filled: Path, flyte_host: Run) -> None:
    before = states(flyte_host)
    done = flyte_host("journal", "drop", "--parked", stdin="n\n")
    assert done.returncode == 1
    assert "Drop r4 e2? They will never reach flyte [y/N]: " in done.stderr
    assert states(flyte_host) == before
    assert flyte_host("journal", "drop", "r4", stdin="y\n").stdout == "dropped: r4\n"
    assert "r4" not in states(flyte_host)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["retry", "r4", "r2"], 1, ": r2 is waiting, only parked entries can be retried"),
        (["retry", "r99"], 1, ": there is no r99; flyte-host journal list --all shows what"),
        (["drop", "--yes", "r4", "r1"], 1, ": r1 is taken: it ends when its handler does, or at"),
        (["show", "e9"], 1, ": there is no e9;"),
        (["show", "r0"], 2, "found 'r0', expected the name of an entry: r12 (an action"),
        (["retry", "4"], 2, "found '4', expected the name of an entry"),
        (["retry"], 2, "name entries, or all that are parked by --parked"),
        (["drop", "--parked", "r4"], 2, "name entries, or all that are parked by --parked"),
        (["run", "e2"], 2, "e2 is an event: it has no input to run"),
        (["list", "--state", "lost"], 2, "'lost' is not one of 'taken', 'waiting'"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    filled: Path, flyte_host: Run, arguments: list[str], code: int, words: str
) -> None:
    before = states(flyte_host)
    done = flyte_host("journal", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert states(flyte_host) == before


def test_without_a_journal_none_is_made(flyte_host: Run, tmp_path: Path) -> None:
    done = flyte_host("journal")
    assert done.returncode == 1
    assert done.stderr == (
        f"flyte-host: journal {state(tmp_path)}: no such file; flyte-host serve creates it, "
        "where [host] state says\n"
    )
    assert not state(tmp_path).exists()


def test_the_file_is_that_of_the_configuration(flyte_host: Run, tmp_path: Path) -> None:
    Journal(tmp_path / "elsewhere.db", Clock()).close()
    (tmp_path / "my.toml").write_text("[host]\nstate = 'elsewhere.db'\n", encoding="utf-8")
    assert flyte_host("journal", "-c", "my.toml").returncode == 0
    assert flyte_host("journal", "list", "-c", "my.toml").returncode == 0


def test_an_input_can_be_run_again(
    filled: Path, flyte_host: Run, installed: Callable[..., Path]
) -> None:
    installed("greeter", GREETER)
    before = states(flyte_host)
    done = flyte_host("journal", "run", "r3")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"event": "Greeted", "payload": {"hello": "Ada"}}
    assert states(flyte_host) == before


def test_an_input_that_ends_as_fatal_exits_with_1(
    tmp_path: Path, flyte_host: Run, installed: Callable[..., Path]
) -> None:
    installed("greeter", GREETER)
    journal = Journal(state(tmp_path), Clock())
    write_taken(journal, "greeter", "Greeter", taken(1, "fail"))
    write_taken(journal, "greeter", "Greeter", taken(2, "gone"))
    journal.close()
    done = flyte_host("journal", "run", "r1")
    assert (done.returncode, json.loads(done.stdout)["event"]) == (1, "FATAL")
    done = flyte_host("journal", "run", "r2")
    assert done.returncode == 1
    assert "pack 'greeter' has no command 'gone'" in done.stderr


def test_a_running_host_delivers_what_is_retried(
    tmp_path: Path,
    flyte_host: Run,
    flyte_server: FlyteServer,
    flyte_run_host: Callable[..., RunningHost],
) -> None:
    journal = Journal(state(tmp_path), Clock())
    document = b'{"event":"Ok","payload":7,"createdAt":"2030-01-01T00:00:00Z"}'
    journal.park(journal.emit("demo", document), "400")
    journal.park(journal.emit("demo", document), "400")
    journal.close()
    running = flyte_run_host({"demo": PackPlugin(ECHO, event_defs=[OK])}, state=state(tmp_path))
    assert "2 parked" in running.page("/ready")[1]["checks"]["journal"]["reason"]
    assert list(states(flyte_host)) == ["e1", "e2"]
    assert flyte_host("journal", "drop", "e2", "--yes").returncode == 0
    assert flyte_host("journal", "retry", "e1").returncode == 0
    assert flyte_server.wait_for_event("Demo", "Ok") == 7
    wait_until(lambda: states(flyte_host) == {}, "it is delivered")
    assert running.page("/ready")[1]["checks"]["journal"]["reason"].endswith("wait for flyte")


def test_the_journal_of_a_lost_host_is_adopted(
    filled: Path, flyte_host: Run, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.db"
    filled.rename(lost)
    done = flyte_host("journal", "adopt", "lost.db")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "adopted: 3 actions and 2 events\n",
        "",
    )
    assert states(flyte_host) == {
        "r1": "taken", "r2": "waiting", "r3": "parked", "e1": "waiting", "e2": "parked"
    }  # fmt: skip
    done = flyte_host("journal", "adopt", "--json", "lost.db")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"actions": 0, "events": 0})


def test_a_journal_that_cannot_be_adopted(filled: Path, flyte_host: Run) -> None:
    for file, problem in (
        ("none.db", "journal none.db: there is none; expected the [host] state of a host\n"),
        (filled.name, "this configuration's own; expected that of another host\n"),
    ):
        done = flyte_host("journal", "adopt", file)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith(problem)
