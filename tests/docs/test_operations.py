"""Log lines look as the documentation shows them."""

import json
import logging

from flyte_host.logs import JsonFormatter, TextFormatter
from flyte_host.secrets import Scrubber
from tests.support.blocks import ROOT, blocks_of


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
