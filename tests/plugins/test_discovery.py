"""What an entry point loads, and the error for one that names nothing."""

import pytest

from flyte_host.foreign_code import Misbehaved
from flyte_host.plugins.discovery import plugin_named


def test_an_entry_point_names_a_module_or_what_is_in_it() -> None:
    assert plugin_named("a", "json").load().__name__ == "json"  # type: ignore[attr-defined]
    assert plugin_named("a", "json:JSONDecoder.decode").load().__name__ == "decode"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("jsn:loads", "entry point jsn:loads: there is no module jsn"),
        ("jsn.sub:a", "entry point jsn.sub:a: there is no module jsn"),
        (
            "json.loads",
            "entry point json.loads: there is no module json.loads; expected module:attribute",
        ),
        ("json:load_", 'entry point json:load_: json has no load_ (did you mean "load"?)'),
        ("json:JSONDecoder.x1", "entry point json:JSONDecoder.x1: json has no x1"),
    ],
)
def test_an_entry_point_that_names_nothing(target: str, problem: str) -> None:
    with pytest.raises(Misbehaved) as caught:
        plugin_named("a", target).load()
    assert str(caught.value) == problem
