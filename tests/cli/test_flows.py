"""flyte-host flows check and flows test, as real processes; the how-to guide is executed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]
Install = Callable[..., Path]

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "check-flows.md"
ONE_COMMAND = """
from flyte_host import Command, EventDef, PackDef, hookimpl

OUTPUT = EventDef("Output")

class shell:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Shell", commands=[Command("Shell", lambda input: OUTPUT(), [OUTPUT])])

class plugin(shell):
    pass
"""

TYPED = """
from typing import Literal
import msgspec
from flyte_host import Command, EventDef, PackDef, hookimpl

class Addition(msgspec.Struct):
    n: int
    mode: Literal["fast", "slow"] = "fast"

def add(input: Addition):
    raise NotImplementedError

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Typed", commands=[Command("Add", add, [EventDef("Sum")])])
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def write(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")


def flow(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "f", "steps": list(steps)}


def step(event: str, command: str, **fields: Any) -> dict[str, Any]:
    """A step on ``pack/event`` that asks for ``pack/command``; ``input`` goes to the command."""
    event_pack, _, event_name = event.partition("/")
    command_pack, _, command_name = command.partition("/")
    labels = fields.pop("labels", {})
    return {
        "event": {"packName": event_pack, "name": event_name, "packLabels": labels},
        "command": {
            "packName": command_pack,
            "name": command_name,
            "input": fields.pop("input", 1),
        },
        **fields,
    }


@pytest.fixture
def check(flyte_host: Run, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The findings in a flow, with only Shell known."""

    def check(content: Any, *, code: int) -> list[dict[str, Any]]:
        write(tmp_path, "f.yaml", content)
        done = flyte_host("flows", "check", "f.yaml", "--json")
        assert done.returncode == code, done.stderr
        return list(json.loads(done.stdout)["findings"])

    return check


@pytest.fixture
def try_out(flyte_host: Run, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """What is heard in a trial of a flow."""

    def try_out(content: Any, event: Any, *arguments: str) -> list[dict[str, Any]]:
        write(tmp_path, "f.yaml", content)
        write(tmp_path, "event.json", event)
        done = flyte_host("flows", "test", "f.yaml", "--event", "event.json", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["heard"])

    return try_out


def of_steps(heard: dict[str, Any]) -> dict[str, Any]:
    """Per step its input if it fires, else the reason why not."""
    return {
        each["step"]: each["command"]["input"] if each["fires"] else each["reason"]
        for each in heard["steps"]
    }


def test_the_guide(flyte_host: Run, tmp_path: Path) -> None:
    """Every command of the guide answers word for word what the guide says."""
    for text in blocks("yaml"):
        write(tmp_path, re.findall(r"# (\S+)", text)[0], text)
    tick, output = blocks("json")
    write(tmp_path, "tick.json", tick)
    write(tmp_path, "output.json", output)
    write(tmp_path, "unit.txt", "percent")
    examples = [text.partition("\n") for text in blocks("console")]
    assert len(examples) == 3
    for command, _, expected in examples:
        done = flyte_host(*command.removeprefix("$ flyte-host ").split())
        assert done.stdout == expected
        assert done.returncode == (2 if "check" in command else 0)


def test_good_flows(installed: Install, flyte_host: Run, tmp_path: Path) -> None:
    installed("other", ONE_COMMAND.replace('"Shell"', '"Other"'))
    write(tmp_path, "a.yaml", flow(step("Other/Output", "Shell/Shell", input="x", criteria="true")))
    again = flow(step("Other/FATAL", "Shell/Shell", input="{{ Event.Name }}"))
    write(tmp_path, "b.json", {**again, "name": "g"})
    done = flyte_host("flows", "check", "a.yaml", "b.json", "--strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "0 problems, 0 warnings\n")


def test_two_files_with_the_name_of_one_flow(flyte_host: Run, tmp_path: Path) -> None:
    one = flow(step("Shell/Output", "Other/c"))
    for name in ("a.json", "b.json"):
        write(tmp_path, name, one)
    done = flyte_host("flows", "check", "a.json", "b.json", "a.json")
    assert done.returncode == 2
    (line,) = [each for each in done.stdout.splitlines() if "F023" in each]
    assert line == "b.json: F023 name is 'f', as in a.json; expected another name"
    write(tmp_path, "b.json", {**one, "name": "g"})
    assert flyte_host("flows", "check", "a.json", "b.json").returncode == 0


def test_inputs_that_an_installed_command_cannot_decode(
    installed: Install, flyte_host: Run, tmp_path: Path
) -> None:
    installed("typed", TYPED)
    write(tmp_path, "f.yaml", flow(step("Shell/Output", "Typed/Add", input={"n": "{{ 1 }}"})))
    done = flyte_host("flows", "check", "f.yaml")
    assert done.stdout == (
        "f.yaml:1: F022 warning: steps[0].command.input does not fit: "
        "input.n: expected int, got str\n"
    )
    (tmp_path / "flyte-host.toml").write_text('[packs.typed]\nisolation = "process"\n')
    assert flyte_host("flows", "check", "f.yaml").stdout == done.stdout
    good = step("Shell/Output", "Typed/Add", input={"n": 1, "mode": "{{ Event.Name }}"})
    write(tmp_path, "f.yaml", flow(good))
    assert flyte_host("flows", "check", "f.yaml", "--strict").returncode == 0


def test_strict_makes_warnings_count(installed: Install, flyte_host: Run, tmp_path: Path) -> None:
    installed("broken", "import no_such_module\n")
    write(tmp_path, "f.yaml", flow(step("Broken/E", "Shell/Shell")))
    done = flyte_host("flows", "check", "f.yaml")
    assert done.returncode == 0
    assert "a pack that no plugin loaded here has" in done.stdout
    assert "broken is broken, its names are not known: import: ModuleNotFoundError" in done.stderr
    assert done.stderr.endswith("0 problems, 1 warning\n")
    assert "not set up, so their names are not known: " in done.stderr
    assert flyte_host("flows", "check", "f.yaml", "--strict").returncode == 2


def test_packs_are_not_spoken_of_where_none_is_missed(
    installed: Install, flyte_host: Run, tmp_path: Path
) -> None:
    installed("broken", "import no_such_module\n")
    write(tmp_path, "f.yaml", flow(step("Shell/NoSuchEvent", "Shell/Shell")))
    done = flyte_host("flows", "check", "f.yaml")
    assert " F009 " in done.stdout
    assert done.stderr == "0 problems, 1 warning\n"


def test_names_of_a_pack_that_two_plugins_serve(
    installed: Install, flyte_host: Run, tmp_path: Path
) -> None:
    """Two packs of one name, with different labels, count as one with the names of both."""
    for name in ("one", "two"):
        source = ONE_COMMAND.replace('"Shell"', f'"{name}"')
        installed(
            name, source.replace(f'PackDef("{name}"', f'PackDef("Both", labels={{"n": "{name}"}}')
        )
    first = step("Shell/Output", "Both/one", id="first")
    then = step("Both/Output", "Both/two", dependsOn=["first"])
    write(tmp_path, "f.yaml", flow(first, then))
    assert flyte_host("flows", "check", "f.yaml", "--strict").returncode == 0


@pytest.mark.parametrize(
    ("content", "line", "path", "text"),
    [
        ("name: [", 2, "the document", "cannot be read: found invalid YAML: "),
        (
            "name: f\nsteps: !!bool foo",
            2,
            "the document",
            "cannot be read: line 2: found 'foo' as a !!bool",
        ),
        ("name: f\n\nsteps: {", 4, "the document", "cannot be read: found invalid YAML: "),
        ("{", 1, "the document", "cannot be read: the body is not valid JSON: "),
        ("name: f", 1, "steps", "is missing, expected a list"),
        ("7", 1, "the document", "is 7, expected an object with name, description, steps"),
        ("name: f\nsteps:\n- 7", 3, "steps[0]", "is 7, expected an object with id, dependsOn"),
        (
            (
                "name: f\nsteps:\n- event: {packName: Shell, name: Output}\n"
                "  criteria: 'yes'\n  command: {packName: Shell, name: Shell}\n"
            ),
            4,
            "steps[0].criteria",
            "is always wrong: 'yes' is not a bool",
        ),
        (
            (
                "name: f\nsteps:\n- event: {packName: Shell, name: Output}\n"
                "  command:\n    packName: Shell\n    name: Shell\n    input: {a: [b, null]}\n"
            ),
            7,
            "steps[0].command.input.a[1]",
            "is null in a list, which cannot be rendered; leave it out",
        ),
        (
            (
                "name: f\nsteps:\n- event:\n    packName: Shell\n    name: Output\n"
                "    packLabels: {a: '{{'}\n  command: {packName: Shell, name: Shell}\n"
            ),
            6,
            "steps[0].event.packLabels.a",
            "template '{{': line 1: ",
        ),
    ],
)
def test_one_problem(
    check: Callable[..., list[dict[str, Any]]], content: str, line: int, path: str, text: str
) -> None:
    (found,) = (each for each in check(content, code=2) if not each["is_warning"])
    assert (found["source"], found["line"], found["path"]) == ("f.yaml", line, path)
    assert found["text"].startswith(text)


def test_all_of_a_flow_at_once_in_the_order_of_lines(
    check: Callable[..., list[dict[str, Any]]],
) -> None:
    content = (
        "nam: x\n"
        "name: f\n"
        "steps:\n"
        "- dependson: [b]\n"
        "  event: {packName: Shell, name: Outputs, labels: {}}\n"
        "  contexts: {}\n"
        "  context: {a: '{% x %}'}\n"
        "  command: {packName: Shell, name: shel}\n"
    )
    found = [(each["line"], each["path"], each["is_warning"]) for each in check(content, code=2)]
    assert found == [
        (1, "nam", True),
        (4, "steps[0].dependsOn[0]", False),
        (5, "steps[0].event.labels", True),
        (5, "steps[0].event.name", True),
        (6, "steps[0].contexts", True),
        (7, "steps[0].context.a", False),
        (8, "steps[0].command.name", True),
    ]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"\xff", "'utf-8' codec")]
)
def test_a_file_that_cannot_be_read(
    flyte_host: Run, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content:
        (tmp_path / "f.yaml").write_bytes(content)
    done = flyte_host("flows", "check", "f.yaml")
    assert done.returncode == 2
    assert done.stdout.startswith(f"f.yaml: F001 the file cannot be read: {reason}")
    write(tmp_path, "event.json", {"pack": "P", "event": "E"})
    done = flyte_host("flows", "test", "f.yaml", "--event", "event.json")
    assert done.returncode == 2
    assert done.stderr.startswith(f"flyte-host: f.yaml: cannot be read: {reason}")


def test_check_needs_a_file(flyte_host: Run) -> None:
    done = flyte_host("flows", "check")
    assert done.returncode == 2
    assert "Missing argument 'FILE...'" in done.stderr


def test_check_with_a_bad_configuration(flyte_host: Run, tmp_path: Path) -> None:
    write(tmp_path, "flyte-host.toml", "oops = 1\n")
    done = flyte_host("flows", "check", "f.yaml")
    assert done.returncode == 2
    assert "flyte-host: oops: unknown key" in done.stderr


EVENT = {"pack": "P", "event": "E", "payload": {"n": 7, "t": "x"}, "labels": {"env": "dev"}}


def test_why_steps_fire_or_not(try_out: Callable[..., list[dict[str, Any]]]) -> None:
    (heard,) = try_out(
        flow(
            step("P/E", "Q/c", id="fires", input={"n": "{{ Event.Payload.n|integer }}", "x": None}),
            step("O/E", "Q/c", id="pack"),
            step("P/F", "Q/c", id="event"),
            step("P/E", "Q/c", id="labels", labels={"env": "{{ Event.Payload.t }}"}),
            step("P/E", "Q/c", id="false", criteria="{{ Event.Payload.n == 8.0 }}"),
            step("P/E", "Q/c", id="not a bool", criteria="{{ Event.Payload.t }}"),
            step("P/E", "Q/c", id="error", input="{{ Event.Payload.t.u }}"),
            step("P/E", "Q/c", id="depends", dependsOn=["fires", "error"]),
            step("P/E", "Q/c", input="{{ Event.Pack.Id }}"),
        ),
        EVENT,
    )
    told = of_steps(heard)
    assert told.pop("error").startswith("fails: command.input: template ")
    assert told.pop("not a bool").startswith("fails: criteria: 'x' is not a bool")
    assert told == {
        "fires": {"n": "7"},
        "pack": "waits for pack 'O', this is 'P'",
        "event": "waits for event 'F', this is 'E'",
        "labels": "event.packLabels are env=x, but pack P.env.dev has env=dev",
        "false": "criteria is 'False', where Event.Payload.n is 7, a float",
        "depends": "depends on fires or error, which has no result yet",
        "9": "P.env.dev",
    }
    assert (heard["pack"], heard["event"], heard["labels"]) == ("P", "E", {"env": "dev"})
    assert (heard["execution"], heard["isNew"]) == (1, True)


def test_without_a_step_that_fires_there_is_not_an_execution(
    flyte_host: Run, try_out: Callable[..., list[dict[str, Any]]]
) -> None:
    (heard,) = try_out(flow(step("P/E", "Q/c", id="a", criteria="False")), EVENT)
    assert (heard["execution"], heard["isNew"]) == (None, False)
    lines = flyte_host("flows", "test", "f.yaml", "--event", "event.json").stdout.splitlines()
    assert lines == [
        "P.env.dev: E → no execution",
        "  step a: does not fire: criteria is 'False'",
    ]


def test_context_and_labels_are_shown(
    flyte_host: Run, try_out: Callable[..., list[dict[str, Any]]]
) -> None:
    document = flow(
        step("P/E", "Q/c", id="a", context={"t": "{{ Event.Payload.t }}"}, criteria="False"),
        step("P/E", "Q/c", id="b", context={"t": "{{ Event.Payload.t }}"}),
    )
    document["steps"][1]["command"]["packLabels"] = {"l": "{{ Context.t }}"}
    (heard,) = try_out(document, EVENT)
    declined, fired = heard["steps"]
    assert (declined["context"], declined["fires"]) == ({"t": "x"}, False)
    assert fired["command"]["packLabels"] == {"l": "x"}
    lines = flyte_host("flows", "test", "f.yaml", "--event", "event.json").stdout.splitlines()
    assert lines == [
        "P.env.dev: E → execution 1, a new execution",
        "  step a: does not fire: criteria is 'False'",
        '    context: {"t": "x"}',
        "  step b: fires",
        '    context: {"t": "x"}',
        "    command: c of pack Q",
        '    packLabels: {"l": "x"}',
        "    input: 1",
    ]


def test_results_continue_and_start_again(
    try_out: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    document = flow(
        step("P/E", "Q/first", id="first", context={"a": "1"}, input="go"),
        step("Q/Done", "Q/second", id="second", dependsOn=["first"], input="{{ Context.a }}"),
        step("Q/Done", "Q/any", id="any", input="{{ Context.a }}|{{ Event.Pack.Id }}"),
        step("Q/FATAL", "Q/mend", id="mend", dependsOn=["second"], input="{{ Event.Payload }}"),
    )
    document["steps"][0]["command"]["packLabels"] = {"l": "x"}
    write(tmp_path, "done.json", {"event": "Done", "labels": {"more": "y"}})
    write(tmp_path, "fatal.json", {"event": "FATAL", "payload": "no"})
    event, anew, on, failed = try_out(
        document, EVENT, "--result", "first=done.json", "--result", "second=fatal.json"
    )
    assert of_steps(event)["first"] == "go"
    assert (anew["execution"], anew["isNew"], on["execution"], on["isNew"]) == (2, True, 1, False)
    assert of_steps(anew)["any"] == "|Q.l.x.more.y"
    assert of_steps(anew)["second"] == "depends on first, which has no result yet"
    assert of_steps(on)["second"] == "1"
    assert of_steps(on)["any"] == "1|Q.l.x.more.y"
    assert failed["execution"] == 1
    assert of_steps(failed) == {
        "first": "waits for pack 'P', this is 'Q'",
        "second": "waits for event 'Done', this is 'FATAL'",
        "any": "waits for event 'Done', this is 'FATAL'",
        "mend": "no",
    }


def test_a_step_runs_once_in_an_execution_and_may_have_no_id(
    try_out: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    write(tmp_path, "again.json", {"event": "E"})
    document = flow(step("P/E", "P/again", id="a", dependsOn=[]), step("P/E", "P/again"))
    _, anew, on = try_out(document, EVENT, "--result", "2=again.json")
    assert of_steps(anew) == {"a": 1, "2": 1}
    again = "already has an action in this execution"
    assert of_steps(on) == {"a": again, "2": again}


def test_items_of_the_datastore(
    try_out: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    write(tmp_path, "team.json", {"lead": "Ada"})
    write(tmp_path, "motto", "onwards")
    text = "{{ datastore('team').lead }} {{ datastore('motto') }}"
    arguments = ["--datastore", "team=team.json", "--datastore", "motto=motto"]
    (heard,) = try_out(flow(step("P/E", "Q/c", input=text)), EVENT, *arguments)
    assert of_steps(heard) == {"1": "Ada onwards"}
    (without,) = try_out(flow(step("P/E", "Q/c", input=text)), EVENT)
    assert of_steps(without)["1"].startswith("fails: command.input: ")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("oops", "event.json: the body is not valid JSON: "),
        ([], "event.json: expected an object with pack, event, labels, payload, createdAt"),
        ({"event": "E"}, "event.json: pack is None, expected a text"),
        ({"pack": "P", "event": 7}, "event.json: event is 7, expected a text"),
        ({**EVENT, "lables": {}}, "event.json: unknown key 'lables' (did you mean \"labels\"?)"),
        ({**EVENT, "x": {}}, "event.json: unknown key 'x'; the keys here are pack, event, labels"),
        ({**EVENT, "labels": []}, "event.json: labels are [], expected an object of texts"),
        ({**EVENT, "labels": {"a": 1}}, "event.json: labels are {'a': 1}, expected an object"),
        ({**EVENT, "createdAt": "now"}, "event.json: 'now' is not an RFC 3339 time"),
    ],
    ids=range(9),
)
def test_an_event_that_cannot_be_used(
    flyte_host: Run, tmp_path: Path, event: Any, words: str
) -> None:
    write(tmp_path, "f.yaml", flow(step("P/E", "Q/c")))
    write(tmp_path, "event.json", event)
    done = flyte_host("flows", "test", "f.yaml", "--event", "event.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"flyte-host: {words}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--result", "a"], "--result a: expected STEP=RESULT.json"),
        (["--datastore", "=a"], "--datastore =a: expected KEY=FILE"),
        (["--result", "a=none.json"], "flyte-host: none.json: cannot be read: No such file"),
        (["--datastore", "a=none"], "flyte-host: none: cannot be read: No such file"),
        (
            ["--result", "b=event.json"],
            "flyte-host: event.json: unknown key 'pack'",
        ),
        (
            ["--result", "b=done.json"],
            "flyte-host: done.json: step 'b' waits for no result; waiting: a",
        ),
        (
            ["--result", "a=done.json", "--result", "a=done.json"],
            "flyte-host: done.json: step 'a' waits for no result; waiting: none",
        ),
    ],
    ids=range(7),
)
def test_options_that_cannot_be_used(
    flyte_host: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    write(tmp_path, "f.yaml", flow(step("P/E", "Q/c", id="a")))
    write(tmp_path, "event.json", EVENT)
    write(tmp_path, "done.json", {"event": "Done"})
    done = flyte_host("flows", "test", "f.yaml", "--event", "event.json", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_trying_out_a_document_that_is_not_a_flow(flyte_host: Run, tmp_path: Path) -> None:
    write(tmp_path, "f.yaml", "name: f\nsteps:\n- 7\n")
    write(tmp_path, "event.json", EVENT)
    done = flyte_host("flows", "test", "f.yaml", "--event", "event.json")
    assert done.returncode == 2
    assert done.stderr.startswith("flyte-host: f.yaml:3: F002 steps[0] is 7, expected an object")


def test_nothing_is_left_behind(
    try_out: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    try_out(flow(step("P/E", "Q/c")), EVENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["event.json", "f.yaml"]
