"""Tables become dataclasses, whatever they hold, and problems have words."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from flyte_host.config.parser import KeyCheck, Place, keys_of, read_table
from flyte_host.text import nearest, quoted


@dataclass(frozen=True, slots=True)
class Table:
    given: str
    count: Annotated[int, Meta(gt=0, lt=10, description="how many")] = 1
    share: Annotated[float | None, Meta(ge=0, le=1, description="how much")] = None
    on: Annotated[bool, Meta(description="whether")] = False
    word: Annotated[str, Meta(min_length=1, description="what")] = "w"
    folder: Annotated[Path, Meta(description="where")] = Path("here")
    items: Annotated[tuple[str, ...], Meta(description="which")] = ()
    names: Annotated[Mapping[str, str], Meta(description="who")] = field(default_factory=dict)
    even: Annotated[
        int, KeyCheck(lambda value, _: value * 2, words="half"), Meta(description="doubled")
    ] = 0


def read(raw: Any) -> tuple[Table, list[str]]:
    at = Place("t", Path("/etc"), [])
    return read_table(Table, raw, at, given={"given": "g"}), at.problems


def test_values_become_fields() -> None:
    raw = {
        "count": 9,
        "share": 1,
        "on": True,
        "word": "x",
        "folder": "/there",
        "items": ["a", "b"],
        "names": {"k": "v"},
        "even": 2,
    }
    expected = Table("g", 9, 1.0, True, "x", Path("/there"), ("a", "b"), {"k": "v"}, 4)
    assert read(raw) == (expected, [])


def test_defaults_are_read_like_written_paths() -> None:
    assert read({}) == (Table("g", folder=Path("/etc/here")), [])


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("count", 0, "found 0, expected a whole number > 0"),
        ("count", 10, "found 10, expected a whole number < 10"),
        ("count", 10**30, "found a number of many digits, expected a whole number < 10"),
        ("count", 1.5, "found 1.5 (a float), expected a whole number"),
        ("count", True, "found true (a boolean), expected a whole number"),
        ("count", "1", 'found "1" (a string), expected a whole number (without quotes)'),
        ("count", [1], "found an array, expected a whole number"),
        ("share", -1, "found -1, expected a number >= 0"),
        ("share", 1.5, "found 1.5, expected a number <= 1"),
        ("share", float("nan"), "found nan, expected a number >= 0"),
        ("share", float("inf"), "found inf, expected a number <= 1"),
        ("share", -float("inf"), "found -inf, expected a number >= 0"),
        ("share", 10**400, "found a number of many digits, expected a number <= 1"),
        ("share", False, "found false (a boolean), expected a number"),
        (
            "on",
            "yes",
            'found "yes" (a string), expected a boolean (true or false, without quotes)',
        ),
        ("on", 1, "found 1 (an integer), expected a boolean (true or false, without quotes)"),
        ("word", "", 'found "", expected a string that is not empty'),
        ("word", 3, "found 3 (an integer), expected a string"),
        ("word", {"a": 1}, "found a table, expected a string"),
        (
            "word",
            dt.date(2020, 1, 2),
            "found 2020-01-02 (a date or time), expected a string",
        ),
        ("folder", 1, "found 1 (an integer), expected a string"),
        ("folder", "", "found a path that is empty or has a NUL in it, expected a path"),
        ("folder", "a\0", "found a path that is empty or has a NUL in it, expected a path"),
        (
            "folder",
            "~nobody-of-this-name/x",
            "found a path below ~ of an unknown user, expected a path",
        ),
        ("items", "a", 'found "a" (a string), expected an array ([…])'),
        ("names", "a", "found a string, expected a table ({ … })"),
    ],
)
def test_a_value_that_does_not_fit(key: str, value: Any, problem: str) -> None:
    assert read({key: value}) == (Table("g", **read_rest(key)), [f"t.{key}: {problem}"])


def read_rest(key: str) -> dict[str, Any]:
    """What a table holds whose ``key`` is wrong: nothing there, the defaults elsewhere."""
    return {"folder": Path("/etc/here")} | {key: None}


def test_all_problems_are_found_at_once_with_their_paths() -> None:
    raw = {
        "on": 1,
        "items": ["a", 1, "b", 2.5],
        "names": {"a": 1, "b c": "x", 'd"': [], "": 2},
        "cuont": 1,
        "zzz": 2,
    }
    keys = "count, share, on, word, folder, items, names, even"
    assert read(raw)[1] == [
        't.cuont: unknown key (did you mean "count"?)',
        f"t.zzz: unknown key; the keys here are {keys}",
        "t.on: found 1 (an integer), expected a boolean (true or false, without quotes)",
        "t.items[1]: found 1 (an integer), expected a string",
        "t.items[3]: found 2.5 (a float), expected a string",
        "t.names.a: found 1 (an integer), expected a string",
        't.names."d\\"": found an array, expected a string',
        't.names."": found 2 (an integer), expected a string',
    ]


@pytest.mark.parametrize("raw", [1, "secret", [{}]])
def test_a_value_that_is_not_a_table_is_not_shown(raw: Any) -> None:
    table, problems = read(raw)
    assert table == Table("g")
    assert len(problems) == 1
    assert problems[0].endswith(", expected a table ([t])")
    assert "secret" not in problems[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timeout", ' (did you mean "timeout_seconds"?)'),
        ("URL", ' (did you mean "url"?)'),
        ("Plug-In", ' (did you mean "Plugin"?)'),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name(name: str, text: str) -> None:
    assert nearest(name, ["url", "timeout_seconds", "Plugin"]) == text
    assert nearest(name, []) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ä b", '"ä b"'),
        ('a"\\', '"a\\"\\\\"'),
        ("a\nb\udcff", '"a\\nb\\udcff"'),
        ("x" * 60, '"' + "x" * 60 + '"'),
        ("x" * 61, '"' + "x" * 59 + '…"'),
    ],
)
def test_texts_are_shown_in_one_short_line(text: str, line: str) -> None:
    assert quoted(text) == line


def test_the_declaration_has_the_words_of_the_reference() -> None:
    keys = keys_of(Table)
    assert "given" not in keys
    assert {name: key.words for name, key in keys.items()} == {
        "count": "whole number > 0, < 10",
        "share": "number >= 0, <= 1",
        "on": "boolean",
        "word": "string",
        "folder": "path",
        "items": "array of strings",
        "names": "table",
        "even": "half",
    }
    assert keys["count"].meaning == "how many"
    assert [keys[name].default for name in ("count", "share", "names")] == [1, None, {}]
