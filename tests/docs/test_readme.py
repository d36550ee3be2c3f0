"""The README's example runs as the README says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, blocks_of
from tests.support.log_line import parts_of_lines
from tests.support.serving import Serving

PAGE = ROOT / "README.md"
EXAMPLE = ROOT / "docs" / "examples"
BLOCKS = blocks_of(PAGE)
OUTPUTS = {each.attributes["output"]: each.text for each in BLOCKS if "output" in each.attributes}
COMMANDS = [line for each in BLOCKS if each.language == "sh" for line in each.text.splitlines()]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    shutil.copytree(EXAMPLE / "flows", tmp_path / "flows")
    text = (EXAMPLE / "flyte-host.toml").read_text(encoding="utf-8")
    assert "127.0.0.1:8080" in text
    assert "127.0.0.1:8090" in text
    assert "127.0.0.1:8095" in text
    text = re.sub(r"127\.0\.0\.1:80(80|90|95)", "127.0.0.1:0", text)
    text = text.replace("interval_seconds = 5", "interval_seconds = 0.2")
    (tmp_path / "flyte-host.toml").write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    with Serving(tmp_path, kept) as serving:
        serving.wait_ready()
        yield serving


def test_the_log_matches_a_run(serving: Serving) -> None:
    for level, pack, message in parts_of_lines(OUTPUTS["make serve"]):
        words = re.sub(r":80[89]0$", "", message)
        serving.wait_for(words)
        [logged, *_] = [each for each in serving.log if words in each["message"]]
        assert (logged["level"].upper(), logged.get("pack", "-")) == (level, pack)


def test_an_event_raised_by_hand_becomes_an_action(serving: Serving) -> None:
    [line] = [each for each in COMMANDS if " event " in each]
    program, *arguments = shlex.split(line)
    assert program.endswith("/flyte-host")
    done = subprocess.run(
        [sys.executable, "-m", "flyte_host", *arguments, "--url", serving.flyte_url],
        check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert without_numbers(done.stdout) == without_numbers(OUTPUTS["event"])


def test_a_webhook_becomes_an_action(serving: Serving) -> None:
    flow = (EXAMPLE / "flows" / "webhook.yaml").read_text(encoding="utf-8")
    [command] = re.findall(r"curl -d (\S+) http://127\.0\.0\.1:8095(\S+)", flow)
    answer = requests.post(
        serving.webhooks_url + command[1],
        command[0],
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=PATIENCE_SECONDS,
    )
    assert (answer.status_code, answer.json()) == (200, {"result": "accepted"})
    serving.wait_for("flow webhook, step 'greet': queued Shell for pack Shell")


def without_numbers(text: str) -> str:
    return re.sub(r"[0-9a-f]{24}", "ID", re.sub(r"\d\d:\d\d:\d\d", "TIME", text)).strip()


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures
    for each in pictures:
        begin = b"<svg" if each.endswith(".svg") else b"\x89PNG"
        assert (ROOT / each).read_bytes().startswith(begin)


def test_the_readme_is_short() -> None:
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 170
