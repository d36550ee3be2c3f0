"""Query strings and form bodies, read as the Go server reads them.

Owns the limits on them: fields are counted before anything is built. Must not know what fields
mean.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from flyte_host.embedded.codec import BadDocument

MAX_FIELDS = 1000
MAX_PART_HEADER_BYTES = 10_000
MAX_PARAMETERS = 20
"""Of one header; reading them takes time by the square of their number."""

_PART_HEADERS = ("content-disposition", "content-type")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class FormFile:
    """A part with a file name; ``content_type`` is ``None`` if the part does not name one.

    ``value`` is a view of the body, of which a copy may be large.
    """

    content_type: str | None
    value: memoryview


@dataclass(frozen=True, slots=True)
class Form:
    """The first field and the first file with each name."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, FormFile] = field(default_factory=dict)


def read_query(text: str) -> dict[str, str]:
    """The first value for each name; raises :class:`BadDocument` for too many of them.

    A pair with ``;`` or a broken escape is left out, as in Go.
    """
    _check_count(text.count("&"), "fields")
    fields: dict[str, str] = {}
    for pair in text.split("&"):
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            name, _, value = pair.partition("=")
            fields.setdefault(_decode(name), _decode(value))
    return fields


def _decode(text: str) -> str:
    """A name or a value without its escapes; takes a few times its size in memory.

    urllib makes a list of all escapes, eighty times as large. Escapes of MIME differ only in their
    first character.
    """
    if "%" not in text and text.isascii():
        return text.replace("+", " ")
    quoted = text.encode("latin-1", "replace").replace(b"+", b" ").replace(b"=", b"=3D")
    return binascii.a2b_qp(quoted.replace(b"%", b"=")).decode("utf-8", "replace")


def _check_count(separators: int, what: str) -> None:
    if separators >= MAX_FIELDS:
        raise BadDocument(f"found more than {MAX_FIELDS} {what}, expected fewer")


def read_form(content_type: str, body: bytes) -> Form:
    """The form in ``body``; empty if it is not one. Raises :class:`BadDocument`."""
    match content_type.partition(";")[0].strip().lower():
        case "application/x-www-form-urlencoded":
            _check_count(body.count(b"&"), "fields")
            return Form(fields=read_query(body.decode("latin-1")))
        case "multipart/form-data":
            header = Message()
            header["Content-Type"] = content_type
            return _read_multipart(str(_parameter(header, "boundary", "Content-Type") or ""), body)
    return Form()


def _read_multipart(boundary: str, body: bytes) -> Form:
    form = Form()
    for headers, value in _parts(boundary, body):
        name = _parameter(headers, "name", "Content-Disposition")
        if not isinstance(name, str):
            continue
        if _parameter(headers, "filename", "Content-Disposition"):
            form.files.setdefault(name, FormFile(headers["Content-Type"], value))
        else:
            form.fields.setdefault(name, str(value, "utf-8", "replace"))
    return form


def _parameter(headers: Message, name: str, of: str) -> Any:
    """A parameter of a header; its continuations (RFC 2231) are numbered, which may fail."""
    if headers.get(of, "").count(";") > MAX_PARAMETERS:
        raise BadDocument(f"the header {of} has more than {MAX_PARAMETERS} parameters")
    try:
        return headers.get_param(name, header=of)
    except ValueError:
        raise BadDocument(f"the parameters of the header {of} cannot be read") from None


def _parts(boundary: str, body: bytes) -> Iterator[tuple[Message, memoryview]]:
    """Headers and value of each part; ignores text before and after the parts."""
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    view = memoryview(body)
    end = _first_delimiter(body, delimiter) if boundary else -1
    if end < 0:
        raise BadDocument("the multipart body has no part, expected its boundary between parts")
    _check_count(body.count(delimiter), "parts")
    while not body.startswith(b"--", end):
        start, end = end, body.find(delimiter, end)
        blank = body.find(b"\r\n\r\n", start, end if end >= 0 else len(body))
        if end < 0 and blank >= 0:
            break
        if blank < 0 or blank - start > MAX_PART_HEADER_BYTES:
            raise BadDocument("a part of the multipart body has no end of its headers")
        yield _read_part_headers(body[start:blank]), view[blank + 4 : end]
        end += len(delimiter)
    else:
        return
    raise BadDocument("the multipart body breaks off, expected its last boundary")


def _first_delimiter(body: bytes, delimiter: bytes) -> int:
    """Where the first part begins, after the boundary; -1 if there is none."""
    if body.startswith(delimiter[2:]):
        return len(delimiter) - 2
    found = body.find(delimiter)
    return found + len(delimiter) if found >= 0 else -1


def _read_part_headers(head: bytes) -> Message:
    """The two headers that are read: finding a repeated one takes longer with each that is kept."""
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in _PART_HEADERS and name.strip() not in headers:
            headers[name.strip()] = value.strip()
    return headers
