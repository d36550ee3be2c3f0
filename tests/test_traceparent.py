"""The headers of W3C's Trace Context, read and written."""

import contextvars

import pytest

from flyte_host import trace_headers
from flyte_host.traceparent import (
    CURRENT,
    LONGEST_STATE,
    Traceparent,
    is_sampled,
    parse_traceparent,
    read_trace,
    trace_id_of,
    write_trace,
)

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, ""),
        ({"tracestate": "a=1"}, ""),
        ({"traceparent": PARENT}, PARENT),
        ({"traceparent": f" {PARENT}\t", "tracestate": ""}, PARENT),
        ({"traceparent": PARENT, "tracestate": " a=1,b=2 "}, f"{PARENT} a=1,b=2"),
    ],
    ids=["nothing", "state alone", "parent", "parent in spaces", "both"],
)
def test_headers_become_a_text(headers: dict[str, str], text: str) -> None:
    assert read_trace(headers) == text


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        PARENT[:-1],
        PARENT + "-00",
        PARENT + "0",
        PARENT.upper(),
        PARENT.replace("00-", "ff-", 1),
        PARENT.replace("00-", "01-", 1) + "x",
        PARENT.replace(TRACE_ID, "0" * 32),
        PARENT.replace(SPAN_ID, "0" * 16),
        PARENT.replace("-", "_"),
        PARENT + "\n",
        f"{PARENT},{PARENT}",
        "\u0660\u0660" + PARENT[2:],
    ],
)
def test_a_header_that_is_not_valid_is_not_a_trace(parent: str) -> None:
    assert parse_traceparent(parent) is None
    assert read_trace({"traceparent": parent.strip() + "x", "tracestate": "a=1"}) == ""


@pytest.mark.parametrize("rest", ["", "-", "-what-a-later-version-adds"])
def test_a_later_version_is_read_as_this_one(rest: str) -> None:
    assert read_trace({"traceparent": f"cc{PARENT[2:]}{rest}"}) == PARENT


@pytest.mark.parametrize(
    "state",
    ["a=1\x00", "é=1", "a=" + "b" * LONGEST_STATE, "nonsense", "=", "a=1,b", "a=",
     "a=1\t,b=2", "A=1", "a=1=2",
     ",".join(f"k{each}=1" for each in range(33))],
)  # fmt: skip
def test_a_state_that_is_not_valid_is_left_out(state: str) -> None:
    assert read_trace({"traceparent": PARENT, "tracestate": state}) == PARENT


@pytest.mark.parametrize(
    "state",
    ["", "a=1", "1a@b=x y/+!", "a=" + "b" * 256, "a=1, b=2 ,c=3",
     ",".join(f"k{each}=1" for each in range(32))],
)  # fmt: skip
def test_a_text_becomes_the_headers_again(state: str) -> None:
    headers = {"traceparent": PARENT} | ({"tracestate": state} if state else {})
    assert write_trace(read_trace(headers)) == headers


def test_no_trace_has_no_headers_and_no_id() -> None:
    assert (write_trace(""), trace_id_of("")) == ({}, "")


def test_the_parts_of_a_text() -> None:
    found = parse_traceparent(f"{PARENT} a=1")
    assert found == Traceparent(TRACE_ID, SPAN_ID, "01", "a=1")
    assert str(found) == f"{PARENT} a=1"
    assert trace_id_of(str(found)) == TRACE_ID


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)]
)
def test_flags_tell_whether_spans_are_recorded(flags: str, sampled: bool) -> None:
    assert is_sampled(PARENT[:-2] + flags) == sampled
    assert is_sampled(PARENT[:-2] + f"{flags} a=1") == sampled


def test_what_has_no_trace_is_not_recorded() -> None:
    assert not is_sampled("")


def test_the_headers_of_where_it_is_called() -> None:
    assert trace_headers() == {}
    context = contextvars.copy_context()
    context.run(CURRENT.set, f"{PARENT} a=1")
    assert context.run(trace_headers) == {"traceparent": PARENT, "tracestate": "a=1"}
