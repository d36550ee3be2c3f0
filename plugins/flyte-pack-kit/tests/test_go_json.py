"""Go's rules of reading JSON."""

from typing import Any

import msgspec
import pytest
from flyte_pack_kit import decode, match_keys, parse_json


class Inner(msgspec.Struct, frozen=True, rename="camel"):
    the_name: str = ""
    size: int = 0


class Outer(msgspec.Struct, frozen=True, rename="camel"):
    issue_id: str = ""
    count: int = 10
    inner: Inner = Inner()
    many: list[Inner] | None = None
    words: list[str] | None = None
    flag: bool = False
    any: Any = None
    map: dict[str, str] | None = None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, Outer()),
        ({}, Outer()),
        ({"issueId": "A", "unknown": [1]}, Outer("A")),
        ({"ISSUEID": "A"}, Outer("A")),
        ({"issueid": "A", "IssueId": "B"}, Outer("B")),
        ({"issue_id": "A"}, Outer()),
        ({"issueId": None, "count": None, "inner": None, "many": None}, Outer()),
        ({"inner": {"THENAME": "n"}, "INNER": {"size": 2}}, Outer(inner=Inner("n", 2))),
        ({"many": [{"theName": "n"}, None]}, Outer(many=[Inner("n"), Inner()])),
        ({"many": [], "words": ["a", None]}, Outer(many=[], words=["a", ""])),
        ({"count": -(2**63)}, Outer(count=-(2**63))),
        ({"flag": True, "any": [1, {"a": None}]}, Outer(flag=True, any=[1, {"a": None}])),
        ({"flag": None, "any": None}, Outer()),
        ({"map": {"A": "b", "a": None}}, Outer(map={"A": "b", "a": ""})),
    ],
)
def test_what_fits(document: Any, expected: Outer) -> None:
    decoded = decode(Outer, document)
    assert (decoded.value, decoded.error) == (expected, "")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"count": "1"}, "string into field count of type int"),
        ({"count": 1.5}, "number into field count of type int"),
        ({"count": 10.0}, "number into field count of type int"),
        ({"count": True}, "bool into field count of type int"),
        ({"flag": 1}, "number into field flag of type bool"),
        ({"map": {"a": 1}}, "number into field map of type string"),
        ({"map": []}, "array into field map of type map[string]string"),
        ({"count": 2**63}, "number into field count of type int"),
        ({"issueId": 1}, "number into field issueId of type string"),
        ({"inner": []}, "array into field inner of type object"),
        ({"inner": {"size": {}}}, "object into field inner.size of type int"),
        ({"many": {}}, "object into field many of type []object"),
        ({"many": [{"size": "x"}]}, "string into field many.size of type int"),
        ({"words": ["a", 1]}, "number into field words of type string"),
        ({"count": "first", "issueId": 2}, "string into field count of type int"),
        ("text", "string into Go value of type object"),
    ],
)
def test_what_does_not_fit(document: Any, error: str) -> None:
    assert decode(Outer, document).error == f"json: cannot unmarshal {error}"


def test_an_error_leaves_the_other_fields_filled() -> None:
    document = {
        "count": "x",
        "issueId": "A",
        "words": [1, "b"],
        "inner": {"size": [], "theName": "n"},
    }
    assert decode(Outer, document).value == Outer("A", 10, Inner("n", 0), None, ["", "b"])


@pytest.mark.parametrize(("document", "value"), [("text", "text"), (None, "")])
def test_a_string(document: Any, value: str) -> None:
    decoded = decode(str, document)
    assert (decoded.value, decoded.error) == (value, "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\ude00\ud83db"', "\ufffd\ufffdb"),
        (b'"Andr\xe9"', "Andr\ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd" * 3),
    ],
    ids=["a pair", "its first half", "the wrong way round", "Latin-1", "CESU-8"],
)
def test_what_is_not_unicode_is_replaced(content: bytes, text: str) -> None:
    assert parse_json(content) == text
    assert parse_json(b'{%s: [{"a": %s}]}' % (content, content)) == {text: [{"a": text}]}


@pytest.mark.parametrize("more", [b"", rb', "\ud83d"', b', "\xff"'])
@pytest.mark.parametrize("content", [b"NaN", b"-Infinity", b"", b"<html>", b"01", b"[" * 100_000])
def test_what_is_not_json_is_refused(content: bytes, more: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|truncated|recursion|Expecting|number"):
        parse_json(b"[" + content + more)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, {}),
        ({"ISSUEID": "FOO-1", "Words": ["a"]}, {"issueId": "FOO-1", "words": ["a"]}),
        ({"count": None, "other": 1}, {}),
        ({"count": 1, "COUNT": None}, {"count": 1}),
        ({"inner": {"THENAME": "x"}}, {"inner": {"THENAME": "x"}}),
        (["issueId"], ["issueId"]),
        ("issueId", "issueId"),
    ],
)
def test_keys_are_matched_for_a_stricter_reader(document: Any, expected: Any) -> None:
    assert match_keys(Outer, document) == expected
