"""Query strings and forms, read as Go reads them, with their limits."""

import tracemalloc

import pytest

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.forms import (
    MAX_FIELDS,
    MAX_PART_HEADER_BYTES,
    FormFile,
    read_form,
    read_query,
)

MULTIPART = "multipart/form-data; boundary=B"

NUMBER = "9" * 5000
"""More digits than Python reads."""


def part(headers: str, value: bytes) -> bytes:
    return b"--B\r\n" + headers.encode() + b"\r\n\r\n" + value + b"\r\n"


FILE = part('Content-Disposition: form-data; name="value"; filename="x"', b"a\r\nb")
END = b"--B--\r\n"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("a=1&b=2&a=3", {"a": "1", "b": "2"}),
        ("a=%C3%A9+x&b", {"a": "é x", "b": ""}),
        ("&&a=1&", {"a": "1"}),
        ("a=c%&b=1", {"b": "1"}),
        ("a=1;b=2&c=3", {"c": "3"}),
        ("a=b=c%3D%0D%0A=\n%3d%ff%C3", {"a": "b=c=\r\n=\n=\ufffd\ufffd"}),
        (b"a=\xc3\xa9".decode("latin-1"), {"a": "é"}),
    ],
    ids=[
        "empty",
        "the first value",
        "escapes",
        "empty pairs",
        "broken escape",
        "semicolon",
        "more escapes",
        "bytes",
    ],
)
def test_read_query(text: str, fields: dict[str, str]) -> None:
    assert read_query(text) == fields


def test_a_query_of_too_many_fields_is_refused() -> None:
    assert read_query("&" * (MAX_FIELDS - 1)) == {}
    with pytest.raises(BadDocument, match="found more than 1000 fields"):
        read_query("&" * MAX_FIELDS)


def test_a_urlencoded_body_has_fields() -> None:
    form = read_form("application/x-www-form-urlencoded; charset=utf-8", b"a=1&b=%C3%A9")
    assert form.fields == {"a": "1", "b": "é"}


def test_escapes_take_little_more_memory_than_they_are_long() -> None:
    body = b"a=" + b"%41" * 1_000_000
    tracemalloc.start()
    assert len(read_form("application/x-www-form-urlencoded", body).fields["a"]) == 1_000_000
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 10 * len(body)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/mixed; boundary=B", "x"])
def test_a_body_of_another_type_is_an_empty_form(kind: str) -> None:
    form = read_form(kind, FILE + END)
    assert (form.fields, form.files) == ({}, {})


def test_a_multipart_body_has_fields_and_files() -> None:
    typed = part(
        'content-disposition: form-data; filename="y"; name="typed"\r\ncontent-type: image/png',
        b"\xff\x00",
    )
    text = part('Content-Disposition: form-data; name="description"', "é".encode())
    nameless = part("Content-Disposition: form-data", b"x")
    form = read_form(MULTIPART, b"preamble\r\n" + FILE + typed + text + nameless + END + b"after")
    assert form.files == {
        "value": FormFile(None, memoryview(b"a\r\nb")),
        "typed": FormFile("image/png", memoryview(b"\xff\x00")),
    }
    assert form.fields == {"description": "é"}


def test_a_file_without_a_name_gives_way_to_one_with_a_name() -> None:
    """As in Go: the first part has an empty file name, the second is taken."""
    empty = part('Content-Disposition: form-data; name="value"; filename=""', b"first")
    assert read_form(MULTIPART, empty + FILE + END).files["value"].value.tobytes() == b"a\r\nb"


def test_of_a_part_only_two_headers_are_kept() -> None:
    """A part of 10 kB has a thousand headers, and each was looked for among all before it."""
    others = "".join(f"A{number}: x\r\n" for number in range(1000))
    several = part(f'{others}Content-Disposition: form-data; name="description"', b"d") * 900
    assert read_form(MULTIPART, several + FILE + END).fields == {"description": "d"}


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        ("multipart/form-data", FILE + END, "has no part"),
        (MULTIPART, b"", "has no part"),
        (MULTIPART, FILE, "breaks off"),
        (MULTIPART, b"--B\r\nContent-Disposition: x\r\n--B--", "end of its headers"),
        (
            MULTIPART,
            part("x" * MAX_PART_HEADER_BYTES + "x", b"") + END,
            "end of its headers",
        ),
        (MULTIPART, FILE * (MAX_FIELDS + 1) + END, "found more than 1000 parts"),
        (f"multipart/form-data; boundary*{NUMBER}=B", FILE + END, "header Content-Type cannot"),
        (
            MULTIPART,
            part(f"Content-Disposition: form-data; name*{NUMBER}=a", b"") + END,
            "header Content-Disposition cannot",
        ),
        (
            MULTIPART,
            part(f"Content-Disposition: form-data; name=a; filename*{NUMBER}=a", b"") + END,
            "header Content-Disposition cannot",
        ),
        ('multipart/form-data; a="' + ";" * 28_000, b"", "Content-Type has more than 20 param"),
        (
            MULTIPART,
            part('Content-Disposition: form-data; name="' + ";" * 9000, b"") * 900 + END,
            "Content-Disposition has more than 20 parameters",
        ),
    ],
    ids=[
        "no boundary",
        "empty",
        "no end",
        "half a part",
        "long headers",
        "many parts",
        "a boundary's number",
        "a name's number",
        "a file's number",
        "many parameters",
        "many parameters in many parts",
    ],
)
def test_a_bad_multipart_body_is_refused(kind: str, body: bytes, problem: str) -> None:
    with pytest.raises(BadDocument, match=problem):
        read_form(kind, body)
