"""Which variables of the environment hold secrets, by what a configuration says."""

from pathlib import Path

import pytest

from flyte_host.config import load_config, secret_variables

PACKS = """
[packs.a.settings]
password = { env = "A" }
nested = [{ key = { env = "B" } }, "C"]
[packs.b]
enabled = false
[packs.b.settings]
key = { file = "D" }
other = { env = "E" }
"""


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("", set()),
        ('token = { env = "T" }\n', {"T"}),
        ('token = { file = "T" }\n', set()),
    ],
)
def test_those_that_it_refers_to(tmp_path: Path, token: str, found: set[str]) -> None:
    path = tmp_path / "flyte-host.toml"
    path.write_text(f"[flyte]\nurl = 'http://flyte'\n{token}{PACKS}")
    config = load_config(path, {})
    assert secret_variables(config) == {"FLYTE_JWT", "A", "B", "E"} | found
