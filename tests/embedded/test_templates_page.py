"""The examples of docs/reference/templates.md give what the page says."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.model import PackEvent, PackIdentity
from flyte_host.embedded.pongo2 import TemplateFailed, Templates
from flyte_host.embedded.steps import event_variables
from tests.support.template_maker import make_templates

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "templates.md"
ROW = re.compile(
    r"^\|(?: [^|{]+ \|)? `(?P<template>.*?)`(?: \([^|]+\))? \|"
    r" (?:`(?P<gives>.*)`|nothing|fails: (?P<fails>.*)) \|$"
)
ITEM = re.compile(r"^\| `(\w+)` \| `([\w/]+)` \| `(.*)` \|$")
LINES = PAGE.read_text(encoding="utf-8").splitlines()


def rows() -> list[tuple[str, str, str | None]]:
    found = [ROW.match(line) for line in LINES if not ITEM.match(line)]
    unescaped = [
        [(part or "").replace("\\|", "|") for part in row.groups()] for row in found if row
    ]
    return [(template, gives, fails or None) for template, gives, fails in unescaped]


def variables() -> dict[str, Any]:
    page = "\n".join(LINES)
    made: dict[str, Any] = json.loads(page.split("```json\n")[1].split("```")[0])
    event = made["Event"]
    sender = PackIdentity(event["Pack"]["Id"], event["Pack"]["Name"], event["Pack"]["Labels"])
    created_at = datetime.fromisoformat(event["CreatedAt"])
    seen = PackEvent(event["Name"], sender, event["Payload"], created_at, created_at)
    return {"Event": event_variables(seen), "Context": made["Context"]}


@pytest.fixture
def templates() -> Templates:
    items = {item[1]: (item[2], item[3].encode()) for line in LINES if (item := ITEM.match(line))}
    return make_templates(items)


@pytest.mark.parametrize(("template", "gives", "fails"), rows())
def test_an_example_gives_what_the_page_says(
    templates: Templates, template: str, gives: str, fails: str | None
) -> None:
    if fails is None:
        assert templates.render(template, variables()) == gives
        return
    with pytest.raises(TemplateFailed, match=re.escape(fails)):
        templates.render(template, variables())


def test_every_row_with_a_template_is_an_example() -> None:
    written = [line for line in LINES if re.match(r"\| .*\{[{%#]", line)]
    items = [line for line in written if ITEM.match(line)]
    assert len(rows()) == len(written) - len(items)


def test_the_page_shows_every_filter_and_function(templates: Templates) -> None:
    page = "\n".join(LINES)
    names = [f"|{name}" for name in templates.filters]
    names += [f"{name}(" for name in templates.functions]
    assert [name for name in names if name not in page.replace("\\|", "|")] == []


def test_an_example_that_no_flow_for_go_can_use_says_so() -> None:
    """Go puts its functions into the payload, and cannot store the action then."""
    found = [line for line in LINES if re.search(r"\{ template\(.*, Event\.Payload\)", line)]
    assert found
    assert [line for line in found if "(only here)" not in line] == []
