"""Foreign bytes become a value or one kind of error, which says what is wrong in plain words."""

import msgspec
import pytest

from flyte_host.json_decoding import NotJson, decode_json


def test_a_document_becomes_its_shape() -> None:
    assert decode_json(b'{"a":[1]}', object) == {"a": [1]}
    assert decode_json('{"a":[1]}', dict[str, list[int]]) == {"a": [1]}
    assert decode_json(b'"1"', int, strict=False) == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "Input data was truncated"),
        (b'"a', "Input data was truncated"),
        (
            b'["\\ud800"]',
            r"a string has half a surrogate pair such as \\ud800, which is not",
        ),
        (b'["\\ud800', "Input data was truncated"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
        (b'["\xff"]', "it has text that is not UTF-8"),
        (b"{} x", "JSON is malformed: trailing characters"),
    ],
)
def test_what_is_not_json(document: bytes, words: str) -> None:
    with pytest.raises(NotJson, match=rf"^{words}"):
        decode_json(document, object)


def test_json_of_another_shape_is_json() -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected `int`, got `str`"):
        decode_json(b'"1"', int)
