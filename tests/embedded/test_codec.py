from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.embedded.codec import MAX_DEPTH, BadDocument, fold, read_json, write_json
from flyte_host.embedded.rfc3339 import read_time, write_time
from flyte_host.embedded.yaml_codec import MAX_YAML_BYTES, read_yaml, write_yaml, yaml_lines


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"b": 1, "a": [true, null, "x"]}', {"a": [True, None, "x"], "b": 1}),
        (b"7.0", 7),
        (b"7.5", 7.5),
        (b"1e21", 1e21),
        (b"-0.0", 0),
        (b"12345678901234567890123", 12345678901234567890123),
        (b'{"a": 1} junk', {"a": 1}),
        (b"  1 2", 1),
        (b'"\\ud800x"', "\ufffdx"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\xff"', "\ufffd"),
        (b'{"\\ud800": 1}x', {"\ufffd": 1}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'"' + b"[" * 200 + b'"', "[" * 200),
    ],
)
def test_read_json(body: bytes, value: Any) -> None:
    read = read_json(body)
    assert value is None or read == value


def test_keys_are_sorted() -> None:
    assert list(read_json(b'{"b": {"d": 1, "c": 2}, "a": 3}')) == ["a", "b"]
    assert list(read_json(b'{"b": {"d": 1, "c": 2}}')["b"]) == ["c", "d"]


def test_whole_numbers_are_integers() -> None:
    assert isinstance(read_json(b"7.0"), int)
    assert isinstance(read_json(b"1e30"), float)


DEEP = "nested more than 100 levels deep"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is empty, expected JSON"),
        (b" \n", "the body is empty, expected JSON"),
        (b'{"a":', "the body is not valid JSON: Expecting value, line 1 column 6, found 'the end'"),
        (b"nul", "the body is not valid JSON: Expecting value, line 1 column 1, found 'nul'"),
        (b"NaN", "NaN is not a JSON number"),
        (b"-Infinity", "-Infinity is not a JSON number"),
        (b"1e999", "inf is not a JSON number"),
        (b"1" * 400, "a number is out of range"),
        (b"1" * 5000, "Exceeds the limit"),
        (b"[" * 101 + b"]" * 101, DEEP),
        (b"[" * 100_000, DEEP),
        (b'{"a":' * 100_000, DEEP),
        (b"[" * 2000 + b"]" * 2000 + b"x", DEEP),
        (b'["\xff",' + b"[" * 100_000, DEEP),
        (b"[" + b"1," * 500_000 + b"1]", "more than 500000 values in one document"),
    ],
)
def test_bad_json(body: bytes, problem: str) -> None:
    with pytest.raises(BadDocument) as raised:
        read_json(body)
    assert problem in str(raised.value)


YAML = """
at: 12:30
base: &base {a: 1}
date: 2020-01-01
exp: 1e3
float: .5
hex: 0x1F
list: [no, yes, ~, "1"]
merged: {<<: *base, b: 2}
minus: -5
octal: 017
plain: 010a
signed: +1.5
under: 1_000
zero: 0
1: number
no: bool
1.5: float
"""


def test_yaml_is_read_as_go_reads_it() -> None:
    assert read_yaml(YAML) == {
        "1": "number",
        "1.5": "float",
        "at": "12:30",
        "base": {"a": 1},
        "date": "2020-01-01",
        "exp": 1000,
        "false": "bool",
        "float": 0.5,
        "hex": 31,
        "list": [False, True, None, "1"],
        "merged": {"a": 1, "b": 2},
        "minus": -5,
        "octal": 15,
        "plain": "010a",
        "signed": 1.5,
        "under": 1000,
        "zero": 0,
    }
    assert read_yaml(b"---\na: \xc3\xa9\n") == {"a": "é"}
    assert read_yaml("yes: 1") == {"true": 1}


LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{key}: &{key} [{','.join([f'*{last}'] * 10)}]\n"
    for last, key in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "found invalid YAML: while parsing"),
        ("[" * 500 + "]" * 500, DEEP),
        ("- " * 500 + "a", DEEP),
        ("&a [*a]", DEEP),
        ("&a {b: {<<: *a}}", DEEP),
        (LAUGHS, "more than 500000 values"),
        ("? [a]\n: 1", "unhashable key"),
        ("? !!null\n: 1", "found the key None, expected text"),
        ("!!python/object:os.system {}", "could not determine a constructor"),
        (".nan", "nan is not a JSON number"),
        ("-.inf", "-inf is not a JSON number"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: !!binary aGk=", "found a bytes, which JSON does not have"),
        ("a: !!int x", "invalid literal"),
        ("a: 0_", ""),
        ("x" * (MAX_YAML_BYTES + 1), "found 1000001 bytes of YAML, expected at most 1000000"),
    ],
)
def test_bad_yaml(text: str, problem: str) -> None:
    if not problem:
        assert read_yaml(text)
        return
    with pytest.raises(BadDocument) as raised:
        read_yaml(text)
    assert problem in str(raised.value)


def test_bad_utf_8_in_yaml() -> None:
    with pytest.raises(BadDocument, match="found invalid YAML"):
        read_yaml(b"a: \xff")


def test_yaml_lines() -> None:
    lines = yaml_lines("name: x\nsteps:\n- id: a\n  event:\n    name: E\n")
    assert lines["steps", 0, "event", "name"] == 5
    assert yaml_lines("") == {}
    assert yaml_lines("a: [") == {}
    assert max(len(path) for path in yaml_lines("&a [*a]")) > MAX_DEPTH


def test_fold() -> None:
    assert fold({"PackName": "a", "x": 1}, ["packName"]) == {"packName": "a", "x": 1}
    assert fold({"PACKNAME": "b", "packName": "a"}, ["packName"]) == {"packName": "a"}


def test_write_json_as_go_does() -> None:
    assert write_json({"a": "<é&>"}) == '{"a":"\\u003cé\\u0026\\u003e"}'.encode()


def test_write_yaml() -> None:
    assert write_yaml({"b": ["é"], "a": None}) == "a: null\nb:\n- é\n".encode()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-23T21:00:00Z", "2026-11-23T21:00:00Z"),
        ("2026-11-23T21:00:00.100Z", "2026-11-23T21:00:00.1Z"),
        ("2026-11-23T21:00:00.123456789Z", "2026-11-23T21:00:00.123456Z"),
        ("2026-11-23T21:00:00+02:30", "2026-11-23T18:30:00Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
    ],
)
def test_times(text: str, written: str) -> None:
    time = read_time(text)
    assert time is not None
    assert write_time(time) == written


def test_zero_time() -> None:
    assert read_time("0001-01-01T00:00:00Z") is None
    assert write_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-23",
        "2026-11-23T21:00:00",
        "2026-11-23 21:00:00Z",
        "2026-11-23t21:00:00z",
        "2026-13-23T21:00:00Z",
        "2026-11-23T21:00:60Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:00",
        "2026-11-23T21:00:00+99:00",
        "٢٠٢٦-11-23T21:00:00Z",
    ],
)
def test_no_times(text: str) -> None:
    with pytest.raises(BadDocument, match="is not a"):
        read_time(text)
