import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from flyte_host.embedded.codec import (
    MAX_DEPTH,
    MAX_VALUES,
    BadDocument,
    fold,
    read_json,
    write_json,
)
from flyte_host.embedded.rfc3339 import read_time, write_time
from flyte_host.embedded.yaml_codec import (
    MAX_BLOCK_BYTES,
    MAX_DIRECTIVES,
    MAX_YAML_BYTES,
    duplicate_keys,
    read_text,
    read_yaml,
    write_yaml,
    yaml_lines,
)


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


def test_text_is_not_counted_as_values() -> None:
    text = '[{,\\"\\\\' * 2 * MAX_VALUES
    assert read_json(f'["{text}"]'.encode()) == ['[{,"\\' * 2 * MAX_VALUES]


def test_16_mb_of_empty_objects_are_refused_before_they_are_built() -> None:
    """They took 450 MB of memory."""
    body = b"[" + b"{}," * 5_000_000 + b"{}]"
    tracemalloc.start()
    try:
        with pytest.raises(BadDocument, match="more than 100000 values"):
            read_json(body)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(body)
    finally:
        tracemalloc.stop()


def test_what_follows_a_whole_document_is_refused() -> None:
    assert read_json(b'{"a": 1} \n', is_whole=True) == {"a": 1}
    with pytest.raises(BadDocument, match="found 'x' after the JSON, expected the end"):
        read_json(b'{"a": 1} x', is_whole=True)


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
        (b"1" * 5000, "a number of 5000 digits"),
        (b"[" * 101 + b"]" * 101, DEEP),
        (b"[" * 90_000, DEEP),
        (b'{"a":' * 90_000, DEEP),
        (b"[" * 2000 + b"]" * 2000 + b"x", DEEP),
        (b'["\xff",' + b"[" * 90_000, DEEP),
        (b"[" + b"1," * MAX_VALUES + b"1]", "more than 100000 values in one document"),
        (b"[" + b"{}," * 60_000 + b"1]", "more than 100000 values in one document"),
        (b'["a,' + b'\\\\",[' * 120_000 + b"[", "more than 100000 values in one document"),
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
exp_sign: 1e+3
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
        "exp": "1e3",
        "exp_sign": 1000,
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
    assert read_yaml("{x: 1, y: 2, n: 3}") == {"x": 1, "true": 2, "false": 3}
    assert read_yaml("{true: 1, 1: 2}") == {"true": 1, "1": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("[y, N, Yes, off, ~, null, '']", [True, False, True, False, None, None, ""]),
        ("['y', \"n\", ! 5, !!str 5]", ["y", "n", "5", "5"]),
        ("[1., 5., .5, .5e3, 08, 0o17, -0b11, 0xff]", ["1.", "5.", 0.5, 500, 8, 15, -3, 255]),
        ("[1e400, 1e+400, =, <<, 2018-02-14]", ["1e400", "1e+400", "=", "<<", "2018-02-14"]),
        ("[!!binary aGk=, !foo x, !!float 3, !!int 3, !!set {a}]", ["hi", "x", 3, 3, {"a": None}]),
        ("!!python/object:os.system {}", {}),
        ("{a: &a {b: 1, c: 2}, d: {<<: *a, b: 3}}", {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}),
        ("{<<: [{a: 1}, {a: 2, b: 2}], c: 3}", {"a": 1, "b": 2, "c": 3}),
        ("&k k: &v [1, *k]\nw: *v", {"k": [1, "k"], "w": [1, "k"]}),
        ("{!!merge <<: {a: 1}, b: !!merge <<}", {"a": 1, "b": "<<"}),
        # A key that is a float has the digits of 32 bits.
        ("{1.0: a, 1.10: b, -0.0: c}", {"1": "a", "1.1": "b", "-0": "c"}),
        ("{123456.0: a, 1.e+6: b}", {"123456": "a", "1.e+6": "b"}),
        ("{1.0e+6: a, 1234567.0: b}", {"1e+06": "a", "1.234567e+06": "b"}),
        ("{16777217.0: a, 0.00001: b}", {"1.6777216e+07": "a", "1e-05": "b"}),
        (
            "{3.40282346e+38: a, 1e+39: b, -1e+39: c}",
            {"3.4028235e+38": "a", ".inf": "b", "-.inf": "c"},
        ),
        ("{.inf: a, -.inf: b, .nan: c}", {".inf": "a", "-.inf": "b", ".nan": "c"}),
        ("[0xffffffffffffffff, -0x8000000000000000]", [2**64 - 1, -(2**63)]),
        (
            "[0x10000000000000000, -0o1000000000000000000001]",
            ["0x10000000000000000", "-0o1000000000000000000001"],
        ),
        ("[18446744073709551616]", [2**64]),
        (
            "[!!timestamp 2018-02-14, !!timestamp 2018-2-4 1:2:3.5]",
            ["2018-02-14", "2018-2-4 1:2:3.5"],
        ),
        ("!!timestamp 2018-02-14T23:18:09+02:00", "2018-02-14T23:18:09+02:00"),
    ],
)
def test_read_yaml(text: str, value: Any) -> None:
    assert read_yaml(text) == value


def test_merge_keys_are_paid_for_while_they_are_read() -> None:
    """829 bytes of them occupied a thread for good."""
    lines = ["a0: &a0 {k: 1}"]
    for number in range(1, 20):
        merges = ", ".join([f"*a{number - 1}"] * 5)
        lines.append(f"a{number}: &a{number} {{<<: [{merges}]}}")
    assert len("\n".join(lines)) < 900
    with pytest.raises(BadDocument, match="more than 100000 values"):
        read_yaml("\n".join(lines))


def test_many_merges_of_one_object_are_paid_for() -> None:
    fields = ", ".join(f"k{number}: 1" for number in range(1000))
    with pytest.raises(BadDocument, match="more than 100000 values"):
        read_yaml(f"a: &a {{{fields}}}\nb: [{'{<<: *a}, ' * 100}]")


def test_an_alias_adds_the_depth_of_what_it_stands_for() -> None:
    deep = "&a " + "[" * 60 + "]" * 60
    assert read_yaml(f"[{deep}, {'[' * 39} *a {']' * 39}]")
    with pytest.raises(BadDocument, match=DEEP):
        read_yaml(f"[{deep}, {'[' * 40} *a {']' * 40}]")


@pytest.mark.parametrize("value", ["x", "[]", "{}"])
def test_long_tags_are_paid_for(value: str) -> None:
    """Each copies what its handle stands for: half a megabyte of text became 30 GB."""
    handle = f"%TAG !e! tag:{'x' * 400_000}\n---\n"
    assert read_yaml(f"{handle}[!e!t {value}]")
    with pytest.raises(BadDocument, match="more than 100000 values"):
        read_yaml(f"{handle}[{f'!e!t {value}, ' * 50_000}]")


LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{key}: &{key} [{','.join([f'*{last}'] * 10)}]\n"
    for last, key in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "did not find expected node content, line 2, column 1"),
        ("a: b: c", "found invalid YAML: mapping values are not allowed"),
        ("a: \x01", "found invalid YAML: "),
        ("[" * 500 + "]" * 500, DEEP),
        ("- " * 500 + "a", DEEP),
        ("&a [*a]", "the anchor &a contains itself"),
        ("&a {b: {<<: *a}}", "the anchor &a contains itself"),
        (LAUGHS, "more than 100000 values in one YAML document"),
        ("? [a]\n: 1", "found the key ['a'], expected text"),
        ("? !!null\n: 1", "found the key None, expected text"),
        (".nan", "nan is not a JSON number"),
        ("-.inf", "-inf is not a JSON number"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: !!binary x", "found 'x' as !!binary, expected base64"),
        ("a: !!binary aGk=é", "found 'aGk=é' as !!binary, expected base64"),
        ("a: !!int x", "line 1: found 'x' as a !!int"),
        ("a: 1\nb: !!bool foo", "line 2: found 'foo' as a !!bool"),
        ("!!int 1.5", "found '1.5' as a !!int"),
        ("!!null x", "found 'x' as a !!null"),
        ("a: !!timestamp soon", "line 1: found 'soon' as a !!timestamp"),
        ("!!timestamp 2018-02-30", "found '2018-02-30' as a !!timestamp"),
        ("!!timestamp 2018-02-14T23:18:09", "found '2018-02-14T23:18:09' as a !!timestamp"),
        ("{!!merge <<: 1}", "found << with a value that is not an object"),
        ("!!float x", "found 'x' as a !!float"),
        ("!!float 1" + 399 * "0", f"found '1{59 * '0'}' as a !!float"),
        ("1" * 401, "found a number of 401 digits, expected at most 400"),
        ("a: *b", "found the alias *b, but no anchor &b"),
        ("a: {<<: 1}", "found << with a value that is not an object"),
        ("a: {<<: [1]}", "found << with a value that is not an object"),
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
    assert yaml_lines("&a [*a]") == {(): 1, (0,): 1}
    assert yaml_lines("x" * (MAX_YAML_BYTES + 1)) == {}
    assert yaml_lines("a: {b: 1,\n c: [d,\n {e: 2}]}\nf: 3")["a", "c", 1, "e"] == 3
    assert max(map(len, yaml_lines("[" * 500 + "]" * 500))) == MAX_DEPTH


def test_fold() -> None:
    assert fold({"PackName": "a", "x": 1}, ["packName"]) == {"packName": "a", "x": 1}
    assert fold({"PACKNAME": "b", "packName": "a"}, ["packName"]) == {"packName": "a"}


def test_write_json_as_go_does() -> None:
    assert write_json({"a": "<é&>"}) == '{"a":"\\u003cé\\u0026\\u003e"}'.encode()


def test_write_yaml() -> None:
    assert write_yaml({"b": ["é"], "a": None}) == "a: null\nb:\n- é\n".encode()


def test_a_long_yaml_answer_is_in_flow_style() -> None:
    """Block style took Python seconds for every megabyte."""
    value = {"a": ["\x7f\x85\ufeff\uffff\U0001f600 'x' \"y\" # z: \n"], "b": "x" * MAX_BLOCK_BYTES}
    written = write_yaml(value)
    assert written.startswith(b'{"a":')
    assert yaml.load(written, Loader=yaml.CSafeLoader) == value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-23T21:00:00Z", "2026-11-23T21:00:00Z"),
        ("2026-11-23T21:00:00.100Z", "2026-11-23T21:00:00.1Z"),
        ("2026-11-23T21:00:00.123456789Z", "2026-11-23T21:00:00.123456Z"),
        ("2026-11-23T21:00:00+02:30", "2026-11-23T18:30:00Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
        ("2026-11-23T3:18:09Z", "2026-11-23T03:18:09Z"),
        ("2026-11-23T21:00:00+25:00", "2026-11-22T20:00:00Z"),
        ("2026-11-23T21:00:00-99:00", "2026-11-28T00:00:00Z"),
        ("2026-11-23T21:00:00,5Z", "2026-11-23T21:00:00.5Z"),
    ],
)
def test_times(text: str, written: str) -> None:
    time = read_time(text)
    assert time is not None
    assert write_time(time) == written


def test_a_time_keeps_its_zone() -> None:
    time = read_time("2026-11-23T21:00:00+02:30")
    assert time is not None
    assert time.isoformat() == "2026-11-23T21:00:00+02:30"


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
        "٢٠٢٦-11-23T21:00:00Z",
    ],
)
def test_no_times(text: str) -> None:
    with pytest.raises(BadDocument, match="is not a"):
        read_time(text)


@pytest.mark.parametrize("line_end", ["\n", "\r", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "text"])
def test_directives_are_counted_before_libyaml_compares_them(line_end: str, encoding: str) -> None:
    """20,000 of them kept the whole process busy for 1.6 s, and twice as many four times that."""
    text = "".join(f"%TAG !a{number}! tag:x{line_end}" for number in range(MAX_DIRECTIVES + 1))
    document = f"{text}---\na: 1"
    with pytest.raises(BadDocument, match="more than 100 lines that begin with %"):
        read_yaml(document if encoding == "text" else document.encode(encoding))
    assert yaml_lines(document) == {}
    assert duplicate_keys(document) == []


def test_percent_signs_within_lines_are_not_directives() -> None:
    few = "%YAML 1.1\n---\n"
    assert read_yaml(f"{few}a: x{'% ' * 200}x") == {"a": f"x{'% ' * 200}x"}


def test_a_number_of_many_digits_is_named_by_its_length() -> None:
    with pytest.raises(BadDocument, match="a number of 5000 digits, expected at most 400"):
        read_json(b"9" * 5000)


@pytest.mark.parametrize("text", ["a: \udcff", '{"a": "\ud800"}'])
def test_a_text_with_lone_surrogates_is_refused(text: str) -> None:
    with pytest.raises(BadDocument, match="lone surrogates"):
        read_text(text)
    assert yaml_lines(text) == {}
    assert duplicate_keys(text) == []
