"""Log lines look as the documentation shows them."""

import json
import logging

from flyte_host.logs import JsonFormatter, TextFormatter
from flyte_host.secrets import Scrubber
from tests.support.blocks import ROOT, blocks_of
from tests.support.log_line import DATE


def a_record() -> logging.LogRecord:
    record = logging.LogRecord("any", logging.INFO, "", 0, "Shell → Output", None, None)
    vars(record).update(
        pack="shell", command="Shell", action="6b04ca371e0294387a1ed304", flow="heartbeat",
        step="measure", execution="6b04ca371e0294387a1ed303", event="Output",
        duration_seconds=0.021163,
    )  # fmt: skip
    return record


def test_log_lines_look_as_shown() -> None:
    blocks = blocks_of(ROOT / "docs" / "reference" / "log-lines.md")
    [shown] = [json.loads(each.text) for each in blocks if each.language == "json"]
    line = json.loads(JsonFormatter(Scrubber()).format(a_record()))
    varies = ("time", "logger")
    assert {**line, **{each: shown[each] for each in varies}} == shown
    date, line_of_text = TextFormatter(Scrubber()).format(a_record()).splitlines()
    [first, *_] = [each.text.splitlines() for each in blocks if each.language == "text"]
    assert DATE.fullmatch(first[0])
    assert DATE.fullmatch(date)
    assert line_of_text[8:] in [each[8:] for each in first[1:]]
