"""What a failing test of a pack says: each kind names its cause."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.xdist_group("explanations")  # one run of the failing tests

ROOT = Path(__file__).parents[2]
HEAD = re.compile(r"^_+ (test_\w+) _+$", re.MULTILINE)
VARYING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "FLYTE"),
    (re.compile(r"\d\.\d s"), "N s"),
)
RAISES = 'return PAGED({"to": ON_CALL[input.team], "urgent": input.urgent})'

GOLDEN = {
    "test_wrong_event": """\
AssertionError: expected the event Queued, got Paged
  payload: {"to": "ada", "urgent": false}""",
    "test_wrong_payload": """\
AssertionError: Paged came with another payload
  payload: {"to": "ada", "urgent": false}
  payload.to: expected "bob", found "ada"
  payload.by: expected "sms", found nothing""",
    "test_undeclared": """\
AssertionError: command 'Lose' sent Lost 7, which it does not declare; its output_events are: \
Paged""",
    "test_exception": """\
KeyError: 'sales'
AssertionError: expected the event Paged, got FATAL
  payload: "command 'Page' raised KeyError: 'sales'"
  host's log: WARNING command Page failed: KeyError: 'sales'""",
    "test_timeout": """\
AssertionError: expected the event Paged, got FATAL
  payload: "command 'Wait' did not finish within 0.05 s"
  host's log: WARNING Wait still ran at its timeout (at testing/golden_pack.py:40: \
threading.Event().wait(60))""",
    "test_wrong_input": """\
AssertionError: expected the event Paged, got FATAL
  payload: "command 'Page': input.urgent: expected bool, got str\"""",
    "test_broken_plugin": """\
flyte_host.errors.PluginError: plugins are not served: pager: FileNotFoundError: pager.toml \
(testing/golden_pack.py:49)""",
    "test_plugin_that_is_not_there": """\
flyte_host.errors.PluginError: plugins are not served: ops: no plugin 'pagr' is installed \
(did you mean "pager"?); installed: pager""",
    "test_never_called": """\
AssertionError: no event Paged of Pager within N s
  packs: Pager
  event: Pager Burning null
  no flow waits for Pager.Burning (did you mean "Shop.Burning"?)""",
    "test_no_such_pack": """\
AssertionError: not within N s: the action of kit-1 finished
  packs: FlyteTestKit, Pager
  event: FlyteTestKit kit-1 null
  kit-1, step run: NEW: Pagr.Page has waited for N s: no pack 'Pagr' is registered \
(did you mean "Pager"?)
  host's log: WARNING flow kit-1, step 'run': the action waits: no pack 'Pagr' \
is registered (did you mean "Pager"?)""",
    "test_misspelt_key_of_a_table": """\
flyte_host.errors.ConfigError: host.max_concurent: unknown key (did you mean "max_concurrent"?)
packs.pager.setings: unknown key (did you mean "settings"?)""",
    "test_settings_that_are_not_a_table": """\
flyte_host.errors.ConfigError: packs.plugin.settings: found a PageInput, \
expected a table ({ … })""",
    "test_misspelt_command": """\
LookupError: no command 'Pge' (did you mean "Page"?); the pack has ['Page', 'Wait', 'Lose']""",
    "test_command_that_is_not_a_text": """\
TypeError: command: found an EventDef, expected its name""",
    "test_event_of_a_pack_that_is_not_there": """\
LookupError: no pack 'pager' is registered (did you mean "Pager"?); registered: Pager""",
    "test_input_that_is_not_json": """\
ValueError: input is not valid JSON: input.team is a PosixPath, which JSON cannot hold; \
expected a dict, list, str, number, bool or None""",
    "test_input_of_a_run_that_is_not_json": """\
ValueError: input is not valid JSON: input.since[0] is a number that is not finite (nan or inf)""",
    "test_payload_of_an_event_that_is_not_json": """\
ValueError: payload is not valid JSON: payload.where[1] has a key that is a tuple, \
expected a str""",
    "test_expecting_a_definition": """\
TypeError: expect takes the name of an event, found an EventDef""",
    "test_plugin_that_is_broken": """\
flyte_host.errors.PluginError: the plugin is broken: FileNotFoundError: pager.toml \
(testing/golden_pack.py:49)""",
    "test_whole_way": "KeyError: 'sales'",
    "test_flyte_is_away": """\
AssertionError: not within N s: the host is ready
  /ready: flyte: not reachable: GET http://FLYTE/v1 was answered with 503: \
a fault that the test asked for""",
}


@pytest.fixture(scope="module")
def failures() -> Mapping[str, str]:
    """What pytest prints for each failing test."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(ROOT), "-q"]
    command += ["-p", "no:cacheprovider", "-p", "no:logging", "--import-mode=importlib"]
    command += ["-o", "pythonpath=.", "--tb=short", "tests/testing/golden_tests.py"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    parts = HEAD.split(done.stdout.partition("short test summary")[0])
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def told(failure: str) -> str:
    """The lines of the exceptions, without what differs from run to run."""
    text = "\n".join(
        line[1:].removeprefix("   ") for line in failure.split("\n") if line.startswith("E ")
    )
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


@pytest.mark.parametrize("test", GOLDEN)
def test_a_failure_names_its_cause(failures: Mapping[str, str], test: str) -> None:
    said = told(failures[test])
    if test == "test_flyte_is_away":  # the rest depends on how often the host has tried
        said = "\n".join(said.split("\n")[:2])
    assert said == GOLDEN[test]


def test_every_failing_test_is_here(failures: Mapping[str, str]) -> None:
    assert set(failures) == set(GOLDEN)


@pytest.mark.parametrize("test", ["test_exception", "test_whole_way"])
def test_the_line_of_the_handler_that_raised_is_shown(
    failures: Mapping[str, str], test: str
) -> None:
    assert RAISES in failures[test]


@pytest.mark.parametrize("test", GOLDEN)
def test_no_frame_of_the_host_is_shown(failures: Mapping[str, str], test: str) -> None:
    assert re.findall(r"^flyte_host/(\S+):\d+: in ", failures[test], re.MULTILINE) == []
