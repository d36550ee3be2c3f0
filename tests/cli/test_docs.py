"""``flyte-host docs``: what the page of a pack says, and its texts stay texts."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flyte_host.cli.pack_page import Block, FactTable, Heading, HelpLink, Prose, _default
from flyte_host.cli.page_text import as_html, as_markdown
from flyte_host.records.schema_field import schema_fields

Run = Callable[..., CompletedProcess[str]]
Install = Callable[..., Path]

DOCUMENTED = '''
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from flyte_host import Command, EventDef, Health, HealthCheck, PackDef, hookimpl

PAGED = EventDef("Paged", "https://example.com/paged")
"""Payload: the login of
the one paged."""
SHIFTED = EventDef("Shifted")

@dataclass
class Who:
    name: str
    """Their login."""
    shift: int = 1

@dataclass
class Deputy:
    name: str

@dataclass
class PageInput:
    who: Who
    deputy: Deputy | None
    text: Annotated[str, Meta(description="What it says.", max_length=160)] = "Look | now"

@dataclass
class PagerSettings:
    url: str = "https://pager.example.com"
    """Where the pager is, see :func:`page`."""

class plugin:
    """Pages people.

    Those who are on call.
    """

    def __init__(self, settings: PagerSettings):
        pass

    @hookimpl
    def flyte_pack(self):
        return PackDef("Pager", "https://example.com/pager", {"env": "test"}, [SHIFTED], [
            Command("Page", self.page, [PAGED], "https://example.com/page", 5, True),
            Command("Ping", lambda input: PAGED(), []),
        ])

    @hookimpl
    def flyte_health_checks(self):
        return [HealthCheck("up", self.check, critical=False)]

    def check(self):
        """Whether ``/up`` answers."""
        return Health(True)

    async def page(self, input: PageInput):
        """Page *somebody*; see ``who``."""
        return PAGED(input.who.name)
'''
PAGE = """\
# The pack Pager

`Pager.env.test` in flyte; served by the plugin `pager` of pager 1.2.3.

Pages people.

Those who are on call.

[More about it](<https://example.com/pager>)

## Labels

A step may choose this pack among others of its name by `packLabels`.

| label | value |
| --- | --- |
| `env` | test |

## Commands

### Page

Page \\*somebody\\*; see `who`.

[More about it](<https://example.com/page>)

Ends as `FATAL` after 5 s. Idempotent: may run again after a crash of the host.

#### Input

| field | type | default | meaning |
| --- | --- | --- | --- |
| `who` | object | required |  |
| `who.name` | string | required | Their login. |
| `who.shift` | integer | 1 |  |
| `deputy` | object or null | required |  |
| `deputy.name` | string | required |  |
| `text` | string (length ≤ 160) | "Look \\| now" | What it says. |

#### Answers

| event | meaning |
| --- | --- |
| `Paged` | Payload: the login of the one paged. https://example.com/paged |
| `FATAL` | The command failed; the payload is a text that says why. |

### Ping

#### Input

Anything.

#### Answers

| event | meaning |
| --- | --- |
| `FATAL` | The command failed; the payload is a text that says why. |

## Events

The pack raises these on its own; flows may begin with them.

| event | meaning |
| --- | --- |
| `Shifted` |  |

## Settings

In the table `[packs.pager.settings]`.

| field | type | default | meaning |
| --- | --- | --- | --- |
| `url` | string | "https://pager.example.com" | Where the pager is, see `page`. |

## Health

| check | critical | meaning |
| --- | --- | --- |
| `up` | no | Whether `/up` answers. |
"""
PLAIN = """
from flyte_host import Command, EventDef, PackDef, hookimpl

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Plain")
"""
ADD_ON = """
from flyte_host import Command, EventDef, hookimpl

class plugin:
    @hookimpl
    def flyte_commands(self, pack):
        def count(input: list[str]):
            \"\"\"Count them.\"\"\"
        return [Command("Count", count, [EventDef("Counted")])]
"""


@pytest.fixture
def pager(installed: Install) -> None:
    installed("pager", DOCUMENTED)


@pytest.mark.usefixtures("pager")
def test_the_page_of_a_pack_is_markdown(flyte_host: Run) -> None:
    done = flyte_host("docs", "pager")
    assert (done.stdout, done.stderr, done.returncode) == (PAGE, "", 0)


@pytest.mark.usefixtures("pager")
def test_a_pack_in_a_process_of_its_own_is_described_as_well(
    flyte_host: Run, tmp_path: Path
) -> None:
    (tmp_path / "flyte-host.toml").write_text('[packs.pager]\nisolation = "process"\n')
    expected = PAGE.replace("Whether `/up` answers.", "")
    assert flyte_host("docs", "pager").stdout == expected


@pytest.mark.usefixtures("pager")
def test_the_page_of_a_pack_is_html_in_a_file(flyte_host: Run, tmp_path: Path) -> None:
    done = flyte_host("docs", "pager", "--format", "html", "-o", "pager.html")
    assert (done.stdout, done.returncode) == ("", 0)
    page = (tmp_path / "pager.html").read_text(encoding="utf-8")
    assert "<title>Pager</title>" in page
    assert "<h3>Page</h3>\n<p>Page *somebody*; see <code>who</code>.</p>" in page
    assert '<p><a href="https://example.com/page">More about it</a></p>' in page
    assert '<th scope="row"><code>who.name</code></th><td>string</td><td>required</td>' in page


@pytest.mark.usefixtures("pager")
def test_a_file_that_cannot_be_written_is_named(flyte_host: Run) -> None:
    done = flyte_host("docs", "pager", "-o", "no/such.md")
    assert (done.stderr, done.returncode) == (
        "flyte-host: no/such.md: cannot be written: No such file or directory\n",
        1,
    )


@pytest.mark.usefixtures("pager")
def test_a_pack_that_is_not_there_is_named(flyte_host: Run) -> None:
    done = flyte_host("docs", "pagr")
    assert "no pack 'pagr' (did you mean \"pager\"?); there are: " in done.stderr
    assert done.returncode == 1


def test_what_an_add_on_gives_is_on_the_page(installed: Install, flyte_host: Run) -> None:
    installed("plain", PLAIN)
    installed("counter", ADD_ON)
    page = flyte_host("docs", "plain").stdout
    said = "### Count\n\nCount them.\n\nAdded by the plugin `counter`.\n"
    assert said in page
    assert "#### Input\n\nA JSON value: list of string.\n" in page
    assert page.endswith("## Settings\n\nNone.\n")


OPTIONAL = """
from dataclasses import dataclass

from flyte_host import Command, EventDef, PackDef, hookimpl

@dataclass
class Who:
    name: str

def page(input: Who | None):
    return EventDef("Paged")()

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Pager", commands=[Command("Page", page, [])])
"""


def test_an_input_that_may_be_something_else_than_its_object_says_so(
    installed: Install, flyte_host: Run
) -> None:
    installed("pager", OPTIONAL)
    said = "#### Input\n\nA JSON value: object or null.\n\n| field | type | default | meaning |\n"
    assert said in flyte_host("docs", "pager").stdout


def test_a_pack_without_commands_says_so(installed: Install, flyte_host: Run) -> None:
    installed("plain", PLAIN)
    assert "## Commands\n\nNone.\n" in flyte_host("docs", "plain").stdout


def test_a_default_that_json_does_not_show_is_named() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "string"}},
              "required": ["b"]}  # fmt: skip
    assert [_default(each) for each in schema_fields(schema)] == ["optional", "required"]


HOSTILE: list[Block] = [
    Heading(1, "a<b> # [x](y)"),
    Prose(
        "one\n\n<script>`</td>|`\u001b[31m\n\n# C#, see https://x.example/#y\n\n- a\n- b\n\n12. z"
    ),
    HelpLink("here", "javascript:alert(1)"),
    FactTable(("a", "b"), [("k|`", "x|y\nz")]),
]


def test_texts_of_plugins_stay_texts_in_markdown() -> None:
    assert as_markdown(HOSTILE) == (
        "# a\\<b\\> \\# \\[x\\](y)\n\n"
        "one\n\n\\<script\\>`</td>\\|`\\\\x1b\\[31m\n\n"
        "\\# C#, see https://x.example/#y\n\n\\- a - b\n\n12\\. z\n\n"
        "[here](<javascript:alert(1)>)\n\n"
        "| a | b |\n| --- | --- |\n| `k\\|'` | x\\|y\\\\nz |\n"
    )


def test_texts_of_plugins_stay_texts_in_html() -> None:
    page = as_html("<t>", HOSTILE)
    assert "<title>&lt;t&gt;</title>" in page
    assert "<p>&lt;script&gt;<code>&lt;/td&gt;|</code>\\x1b[31m</p>" in page
    assert "<p>here: javascript:alert(1)</p>" in page
    assert '<th scope="row"><code>k|`</code></th><td>x|y\\nz</td>' in page
    assert "<script" not in page
