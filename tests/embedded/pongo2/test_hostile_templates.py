"""Sixteen hostile templates at once: each of them ends, and the process hardly grows."""

import subprocess
import sys

import pytest

from flyte_host.embedded.pongo2 import TemplateFailed
from tests.support.hostile_templates import HOSTILE, ITEMS, STEADY
from tests.support.template_maker import make_templates

MOST_GROWTH_BYTES = 100_000_000


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - STEADY))
def test_a_hostile_template_is_refused_by_its_size(name: str) -> None:
    template, variables = HOSTILE[name]()
    with pytest.raises(TemplateFailed) as caught:
        make_templates(ITEMS, max_seconds=1000).render(template, variables)
    assert any(
        each in str(caught.value)
        for each in ("more than", "at most", "longer than", "the limit is")
    )


def test_sixteen_at_once_take_less_than_100_mb() -> None:
    command = [sys.executable, "-m", "tests.support.hostile_templates"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split(" ", 1) for line in ran.stdout.splitlines()]
    assert [name for _, name in lines] == list(HOSTILE)
    assert [name for growth, name in lines if int(growth) > MOST_GROWTH_BYTES] == []
