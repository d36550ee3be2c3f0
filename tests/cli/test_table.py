"""Tables fit a terminal, lose no text, and obey nobody whose text they show."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from flyte_host.cli.table import table_lines

HEADS = ("ID", "NAME", "STATE", "WHY")
WRAPPED = ("NAME", "WHY")
ID = "6b04d7a1620bcd7e7e1fbb18"
WHY = "the disk is full and nobody has looked at it since a quarter past nine"
ROW = (ID, "a-name-without-any-space", "FATAL", WHY)
FORGED = "x\n2026\x1b[31m\x9b\u2028\u202e"
SEEN = r"x\n2026\x1b[31m\x9b\u2028\u202e"


def lines(*rows: Sequence[str], width: int | None = None, colour: bool = False) -> list[str]:
    return list(table_lines(HEADS, rows, wrapped=WRAPPED, width=width, colour=colour))


def text_in(found: Sequence[str]) -> str:
    """All characters but spaces, as a reader of a column would put them together."""
    return "".join("".join(found).split())


def test_a_row_is_one_line_without_a_terminal() -> None:
    found = lines(("1", "b", "SUCCESS", "-"), ROW)
    assert found == [
        f"{'ID':24}  {'NAME':24}  STATE    WHY",
        f"{'1':24}  {'b':24}  SUCCESS  -",
        f"{ID}  {ROW[1]}  FATAL    {WHY}",
    ]


@pytest.mark.parametrize("width", [10, 20, 40, 60, 72, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_no_text_is_lost(width: int) -> None:
    found = lines(ROW, width=width)
    assert max(map(len, found)) <= max(width, 15)
    assert all(sorted(text_in(found)).count(each) >= WHY.count(each) for each in set(WHY) - {" "})
    if width >= 60:
        assert any(line.startswith(f"{ID}  ") for line in found), "an id is not wrapped"


def test_a_table_that_fits_is_not_wrapped() -> None:
    assert lines(("1", "b", "SUCCESS", "-"), width=80) == lines(("1", "b", "SUCCESS", "-"))


def test_a_terminal_that_is_too_narrow_gets_a_list_for_each_row() -> None:
    assert lines(("1", "b", "SUCCESS", "-"), ("2" * 24, "c", "FATAL", "no"), width=34) == [
        "ID     1",
        "NAME   b",
        "STATE  SUCCESS",
        "WHY    -",
        "",
        f"ID     {'2' * 24}",
        "NAME   c",
        "STATE  FATAL",
        "WHY    no",
    ]


def test_many_rows_have_one_head() -> None:
    found = lines(*[(str(number), "b", "SUCCESS", "-") for number in range(120)], width=80)
    assert len(found) == 121
    assert [line.split()[0] for line in found[1:]] == [str(number) for number in range(120)]


@pytest.mark.parametrize("width", [None, 60, 20])
def test_text_of_others_is_not_obeyed(width: int | None) -> None:
    markup = "[red]x[/red] :smile: [link=http://x]y[/link]"
    found = lines((FORGED, markup, "a", "b"), width=width)
    assert all(line.isprintable() for line in found)
    if width is None:
        assert found[1] == f"{SEEN}  {markup}  a      b"
    together = text_in(found)
    assert all(each in together for each in ("smile", "link=", "31m")) or width == 60


def test_wide_characters_take_their_place() -> None:
    found = lines(("日本", "b", "a", "-"), ("x", "b", "a", "-"))
    assert found[1:] == ["日本  b     a      -", "x     b     a      -"]
    assert max(map(len, lines(("日本語" * 9, "b", "a", "日本語" * 9), width=80))) <= 80


def test_colours_mark_heads_and_bad_states_only() -> None:
    plain, colourful = lines(ROW, width=80), lines(ROW, width=80, colour=True)
    assert [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in colourful] == plain
    assert colourful[0].startswith("\x1b[1m")
    assert "\x1b[31mFATAL" in colourful[1]


TABLE = f"""
from flyte_host.cli.table import print_table
print_table({HEADS}, [{ROW}], wrapped={WRAPPED})
"""
XTERM = {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("environ", "is_colourful"),
    [(XTERM, True), (XTERM | {"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_a_real_terminal(environ: dict[str, str], is_colourful: bool) -> None:
    outer, inner = pty.openpty()
    with os.fdopen(inner, "wb"), os.fdopen(outer, "rb") as screen:
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run(
            [sys.executable, "-c", TABLE], env=kept | environ | {"COLUMNS": "80"}, stdout=inner,
            check=True,
        )  # fmt: skip
        seen = os.read(screen.fileno(), 10_000).decode()
    assert ("\x1b" in seen) is is_colourful
    assert len(seen.splitlines()) > 2, "it is wrapped"
