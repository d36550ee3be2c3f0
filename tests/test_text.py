"""Text of others is printed on one line, with nothing in it that a terminal obeys."""

import json
import unicodedata

import pytest

from flyte_host.text import LONGEST_SHOWN, counted, escape_controls, escape_in_json, quoted


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
