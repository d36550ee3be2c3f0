"""The picture of a terminal: its commands exist, its log lines are the host's, it loads nothing."""

import html
import re
import shlex

from tests.support.commands import check_options
from tests.support.terminal_session import PICTURE

TEXT = re.compile(r"<text[^>]* y=\"([\d.]+)\"[^>]*>([^<]*)</text>")


def lines() -> list[str]:
    """The text of each line."""
    rows: dict[str, str] = {}
    for y, part in TEXT.findall(PICTURE.read_text(encoding="utf-8")):
        rows[y] = rows.get(y, "") + html.unescape(part).replace("\xa0", " ")
    return [row.rstrip() for row in rows.values()]


def test_its_commands_exist() -> None:
    typed = [line.partition("$ ")[2].partition(" | ")[0] for line in lines() if "$ flyte" in line]
    assert [words.split()[1] for words in typed] == ["new", "dev", "event", "event"]
    for words in typed:
        check_options(shlex.split(words)[1:])


def test_it_shows_what_dev_is_for() -> None:
    shown = "\n".join(lines())
    for part in (
        "11 passed",
        "To set a flow going, run in another terminal:",
        "flyte has NotesFound of Pager",
        "changed: flyte_pack_pager/pack.py",
        "NameError: name 'fund' is not defined",
    ):
        assert part in shown
    assert shown.count("registered as Pager: commands AddNote, FindNotes") == 3


def test_it_loads_nothing_from_elsewhere() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert "@font-face" not in text
    assert re.findall(r"(?:href|src|url)\W+http", text) == []
