"""The vocabulary of plugin authors is what the contract names, and nothing else."""

import pytest

import flyte_host
from tests.support.script import run_script

VOCABULARY = [
    "Action",
    "Command",
    "Emit",
    "Event",
    "EventDef",
    "Handler",
    "Health",
    "HealthCheck",
    "NotSetUp",
    "PackDef",
    "Scrubber",
    "continue_trace",
    "fatal_event",
    "hookimpl",
    "trace_headers",
]


def test_the_vocabulary_is_complete_and_sorted() -> None:
    assert flyte_host.__all__ == VOCABULARY
    assert sorted(flyte_host.__all__) == VOCABULARY
    for name in VOCABULARY:
        assert getattr(flyte_host, name).__module__ != "builtins"


def test_a_plugin_can_import_every_word() -> None:
    names: dict[str, object] = {}
    exec("from flyte_host import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == VOCABULARY


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'flyte_host' has no attribute 'Comand'"):
        _ = flyte_host.Comand


def test_the_vocabulary_is_listed() -> None:
    assert set(VOCABULARY) < {*dir(flyte_host)}


@pytest.mark.parametrize(
    ("statement", "brought"),
    [
        ("import flyte_host", []),
        ("from flyte_host import Command", ["flyte_host.model"]),
        (
            "from flyte_host import *",
            [
                "flyte_host.given_file",
                "flyte_host.hookspecs",
                "flyte_host.model",
                "flyte_host.secrets",
                "flyte_host.text",
                "flyte_host.traceparent",
            ],
        ),
    ],
)
def test_the_vocabulary_does_not_bring_the_host_with_it(statement: str, brought: list[str]) -> None:
    listed = "print(*sorted(m for m in sys.modules if 'flyte_host.' in m))"
    script = f"{statement}; import sys; {listed}"
    done = run_script(script)
    assert done.stdout.split() == brought
