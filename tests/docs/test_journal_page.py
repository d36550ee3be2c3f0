"""docs/how-to/work-with-the-journal.md shows the real output of its commands, in order."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flyte_host.clock import Clock
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.journal import Delivery, Journal
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, Block, blocks_of
from tests.support.journal_file import write_delivered, write_result, write_taken

PAGE = ROOT / "docs" / "how-to" / "work-with-the-journal.md"
UNKNOWN = (
    "flyte does not know the action: POST http://flyte.example.com/v1/packs/Shell/actions/"
    "6b04ca371e0294387a1ed304/result was answered with 404"
)
RESULT = b'{"event":"Output","payload":{"stdout":"hello\\n","stderr":"","exit_code":0}}'
STEP = StepRun("greet-all", "hello", "6b04ca371e0294387a1ed300")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
AGES = {"taken": 2, "waiting": 250, "r4": 10_831, "e1": 86_431}
VARIES = {"since", "taken_at", "age_seconds"}


def examples() -> Iterator[tuple[Block, Block]]:
    """Each command with its output."""
    blocks = blocks_of(PAGE)
    for block, output in itertools.pairwise(blocks):
        if "output" in output.attributes:
            yield block, output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the journal that the page shows."""
    now = [datetime.now(UTC)]
    journal = Journal(tmp_path / "flyte-host.db", Clock(lambda: now[0]))

    def at(seconds_ago: float) -> None:
        now[0] = datetime.now(UTC) - timedelta(seconds=seconds_ago)

    deliveries: list[Delivery] = []
    for number, name in enumerate(("taken", "waiting", "waiting", "r4"), 1):
        at(AGES[name])
        action_id = f"6b04ca371e0294387a1ed30{number}"
        href = f"v1/packs/Shell/actions/{action_id}/result"
        taken = Taken(action_id, "Shell", b'"echo hello"', href, STEP, TRACE)
        opened = write_taken(journal, "shell", "Shell", taken)
        if number > 1:
            deliveries.append(write_result(journal, opened, RESULT))
        if number == 3:
            write_delivered(journal, deliveries[-1])
    journal.park(deliveries[-1], UNKNOWN)
    at(AGES["e1"])
    journal.park(
        journal.emit("ticker", b'{"event":"Tick"}'), "pack 'ticker' is no longer configured"
    )
    journal.close()
    return tmp_path


def test_commands_print_what_the_page_shows(
    folder: Path, flyte_host_environ: dict[str, str]
) -> None:
    program = Path(sys.executable).parent
    environ = flyte_host_environ | {"PATH": f"{program}:{flyte_host_environ['PATH']}"}
    shown = list(examples())
    assert [output.attributes["output"] for _, output in shown] == [
        "journal", "list", "show", "run", "retry", "drop",
    ]  # fmt: skip
    for command, output in shown:
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=folder, env=environ, capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert comparable(done.stdout, output) == comparable(output.text, output), str(output)


def comparable(text: str, output: Block) -> Any:
    if output.language == "json":
        return steady(json.loads(text))
    return re.sub(r"\b\d+ (s|min|h|d)\b", r"N \1", text)


def steady(document: Any) -> Any:
    """The document with its keys in order, without values that differ from run to run."""
    if isinstance(document, list):
        return [steady(each) for each in document]
    return [(key, None if key in VARIES else value) for key, value in document.items()]
