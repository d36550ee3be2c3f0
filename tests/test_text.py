"""Text of others is printed on one line, with nothing in it that a terminal obeys."""

import json
import unicodedata
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from flyte_host.model import Event
from flyte_host.text import (
    LONGEST_SHOWN,
    counted,
    duration,
    escape_controls,
    escape_in_json,
    is_in_quotes,
    label_words,
    nearest_of_packs,
    quoted,
    type_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x\n2026-01-01 CRITICAL gone\x1b[31m", r"x\n2026-01-01 CRITICAL gone\x1b[31m"),
        ("\r\t\0\x7f", r"\r\t\x00\x7f"),
        ("\x85\x9b31m", r"\x85\x9b31m"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_become_visible(text: str, expected: str) -> None:
    assert escape_controls(text) == expected


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PagerDuty.NoteAdded", ""),  # it is not FATAL that was meant
        ("PagerDuty.Fatall", "PagerDuty.FATAL"),
        ("PagerDuyt.FATAL", "PagerDuty.FATAL"),
        ("Fatal", ""),
        ("Me.Hy", "Me.Hi"),
    ],
)
def test_a_common_pack_makes_no_two_names_alike(name: str, meant: str) -> None:
    said = f' (did you mean "{meant}"?)' if meant else ""
    assert nearest_of_packs(name, ["Chat.Said", "PagerDuty.FATAL", "Me.Hi"]) == said


def test_all_other_text_stays() -> None:
    text = "Grüße → 日本 \\n 👩‍👩‍👧 مرحبا"
    assert escape_controls(text) == text


def test_no_character_of_these_categories_is_left() -> None:
    everything = "".join(map(chr, range(0x110000)))
    left = {unicodedata.category(each) for each in escape_controls(everything)}
    assert not left & {"Cc", "Zl", "Zp", "Cs"}
    assert not [
        each
        for each in escape_controls(everything)
        if unicodedata.bidirectional(each) in {"LRE", "RLE", "LRO", "RLO", "PDF",
                                               "LRI", "RLI", "FSI", "PDI"}
    ]  # fmt: skip


def test_a_quoted_text_is_cut_before_it_is_escaped() -> None:
    assert quoted("a\n") == r'"a\n"'
    assert quoted("x" * LONGEST_SHOWN) == '"' + "x" * LONGEST_SHOWN + '"'
    assert quoted("x" * (LONGEST_SHOWN + 1)) == '"' + "x" * (LONGEST_SHOWN - 1) + '…"'


def test_json_keeps_its_meaning_and_its_lines() -> None:
    value = {"a\x9b": ["\n\x1b\x7f\u2028\u202e\ud800", "é"]}
    document = json.dumps(value, indent="\t", ensure_ascii=False)
    shown = escape_in_json(document)
    assert json.loads(shown) == value
    assert shown.count("\n") == document.count("\n")
    assert all(char.isprintable() or char in "\n\t" for char in shown)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (21, "21 entries")]
)
def test_what_is_counted_has_its_number(number: int, words: str) -> None:
    assert counted(number, "entry", "entries") == words
    assert counted(number, "line") == f"{number} line{'' if number == 1 else 's'}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (812, "13 min 32 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_labels_are_told_in_order() -> None:
    assert [label_words(each) for each in ({}, {"b": "2", "a": "1"})] == ["none", "a=1, b=2"]


async def _yields() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        ("x", "a str"),
        (1, "an int"),
        (Event, "a type"),
        (_yields(), "an async generator"),
        (uuid4(), "a UUID"),
    ],
)
def test_a_kind_has_its_article(value: object, words: str) -> None:
    assert type_of(value) == words


@pytest.mark.parametrize("value", ['"token"', "'token'", '""'])
def test_a_value_in_quotes_is_found(value: str) -> None:
    assert is_in_quotes(value)


@pytest.mark.parametrize("value", ["", "token", "\"token'", 'to"k"en', '"token'])
def test_a_value_without_quotes_around_it_passes(value: str) -> None:
    assert not is_in_quotes(value)
