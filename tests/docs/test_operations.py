"""Examples that need more than one block: a unit, a container, log lines."""

import json
import logging
import re
import tomllib
from pathlib import Path

from flyte_host.logs import JsonFormatter, TextFormatter
from flyte_host.secrets import Scrubber
from tests.support.blocks import ROOT, blocks_of, write_files
from tests.support.commands import check_options


def test_the_unit_waits_longer_than_the_drain(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "run-in-production.md"
    write_files(page, tmp_path)
    unit = (tmp_path / "etc/systemd/system/flyte-host.service").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    config = tomllib.loads((tmp_path / "etc/flyte-host/flyte-host.toml").read_text("utf-8"))
    assert int(settings["TimeoutStopSec"]) >= config["host"]["drain_seconds"] + 10
    assert config["host"]["state"].startswith(f"/var/lib/{settings['StateDirectory']}/")
    program, *arguments = settings["ExecStart"].split()
    assert program.endswith("/flyte-host")
    check_options(arguments)


def test_the_container_starts_an_existing_command(tmp_path: Path) -> None:
    write_files(ROOT / "docs" / "how-to" / "run-in-production.md", tmp_path)
    file = (tmp_path / "Dockerfile").read_text(encoding="utf-8")
    command = re.search(r"^CMD (.*)$", file, re.MULTILINE)
    assert command is not None
    check_options(json.loads(command[1]))
    assert all((ROOT / each).is_dir() for each in re.findall(r"/src/(plugins/\S+)", file))


def a_record() -> logging.LogRecord:
    record = logging.LogRecord("any", logging.INFO, "", 0, "Shell started", None, None)
    vars(record).update(pack="shell", command="Shell", action="6b04ca371e0294387a1ed304")
    return record


def test_log_lines_look_as_shown() -> None:
    blocks = blocks_of(ROOT / "docs" / "reference" / "log-lines.md")
    [shown] = [json.loads(each.text) for each in blocks if each.language == "json"]
    line = json.loads(JsonFormatter(Scrubber()).format(a_record()))
    varies = ("time", "logger")
    assert {**line, **{each: shown[each] for each in varies}} == shown
    text = TextFormatter(Scrubber()).format(a_record())
    [first, *_] = [each.text.splitlines()[0] for each in blocks if each.language == "text"]
    assert text[19:] == first[19:]
