"""The README's example runs as the README says."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.blocks import ROOT, blocks_of
from tests.support.serving import Serving

PAGE = ROOT / "README.md"
EXAMPLE = ROOT / "docs" / "examples"
BLOCKS = blocks_of(PAGE)
OUTPUTS = {each.attributes["output"]: each.text for each in BLOCKS if "output" in each.attributes}
CURLS = [line for each in BLOCKS for line in each.text.splitlines() if line.startswith("curl -d")]
LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:]{8} (\w+) +(\S+) +(.*?)(?:  \[[0-9a-f]{24}\])?")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    shutil.copytree(EXAMPLE / "flows", tmp_path / "flows")
    text = (EXAMPLE / "flyte-host.toml").read_text(encoding="utf-8")
    assert "127.0.0.1:8080" in text
    assert "127.0.0.1:8090" in text
    text = re.sub(r"127\.0\.0\.1:80[89]0", "127.0.0.1:0", text)
    text = text.replace("interval_seconds = 5", "interval_seconds = 0.2")
    (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    with Serving(tmp_path, kept) as serving:
        serving.wait_ready()
        yield serving


def test_the_log_matches_a_run(serving: Serving) -> None:
    for line in OUTPUTS["make serve"].splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        words = re.sub(r":80[89]0$", "", match[3])
        serving.wait_for(words)
        [logged, *_] = [each for each in serving.log if words in each["message"]]
        assert (logged["level"].upper(), logged.get("pack", "-")) == (match[1], match[2])


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's requests need curl")
def test_an_event_raised_by_hand_becomes_an_action(serving: Serving) -> None:
    assert len(CURLS) == 2
    for line in CURLS:
        command = [each.replace("http://127.0.0.1:8080", serving.flyte_url)
                   for each in shlex.split(line)]  # fmt: skip
        done = subprocess.run(
            [*command, "-sS", "--fail"],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
    action = wait_until(lambda: finished(serving.flyte_url), "the action finished")
    shown = [line.strip() for line in OUTPUTS["audit, shortened"].splitlines() if line != "..."]
    answer = [line.strip() for line in json.dumps(action, indent=4).splitlines()]
    found = [line for line in answer if line.rstrip(",") in {each.rstrip(",") for each in shown}]
    assert [each for each in shown if each not in found and each != "},"] == []


def finished(flyte_url: str) -> dict[str, Any] | None:
    answer = requests.get(
        f"{flyte_url}/v1/audit/flows?flowName=hello", timeout=PATIENCE_SECONDS
    ).json()
    for flow in answer["flows"]:
        action: dict[str, Any] = flow["actions"].get("greet", {})
        if action.get("state", {}).get("value") == "SUCCESS":
            return action
    return None


def test_the_readme_is_short() -> None:
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 170
