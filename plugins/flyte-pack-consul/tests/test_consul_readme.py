"""What the README promises exists."""

import dataclasses
from pathlib import Path
from typing import Any

from flyte_pack_consul import ConsulSettings

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_every_setting_is_in_the_table() -> None:
    rows = [line.split("`")[1] for line in README.splitlines() if line.startswith("| `")]
    settings = [field.name for field in dataclasses.fields(ConsulSettings)]
    assert rows[: len(settings)] == settings


def test_the_example_is_a_flow(flyte_server: Any) -> None:
    flow = README.split("```yaml\n")[1].split("```")[0]
    assert flyte_server.put_flow(flow) == flow.split()[1]
