"""Whatever is sent to what our OpenAPI document describes, the answer is one that it describes.

A 5xx that is not in the document fails, and so does one that is there (a second result is 500, as
in the Go server) when it came from a failure inside instead.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import status_code_conformance
from schemathesis.core.failures import FailureGroup

from flyte_host.embedded.operations import OPERATIONS, Operation
from tests.support.asgi import as_wsgi

# Not a strategy does, but psycopg's pool in a thread of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

FEW = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
KINDS = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in schemathesis.GenerationMode
    # Only a query or a body can be wrong: every text is a name.
    if mode is schemathesis.GenerationMode.POSITIVE or operation.query or operation.body
]

texts = st.one_of(
    st.sampled_from(["", "Go", "P", "a\nb", "{{ Event.Payload }}", "{{", "{% for %}", "\x00"]),
    st.text(max_size=8),
)
numbers = st.one_of(st.sampled_from([10**400, 1e308, -0.0, 2**63]), st.integers(), st.floats(-9, 9))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
times = st.sampled_from(
    ["2026-11-23T21:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "now"]
)

keys = st.one_of(st.sampled_from(["k", "k/l", "..", "%", "?#", "\r\n"]), st.text(max_size=8))
types = st.one_of(
    st.sampled_from(["", "a", "text/html; charset=utf-16", "a/b; x=\x7f", "multipart/mixed"]),
    st.sampled_from(["a\r\n b", "é/ü; \x80", "text/plain; charset=no-such", "\x00"]),
    st.text(max_size=12),
)

LINK = {"href": "http://x", "rel": "help"}
STEP = {
    "id": "s",
    "dependsOn": [],
    "event": {"name": "Go", "packName": "P", "packLabels": {"env": "{{ Event.Payload }}"}},
    "context": {"who": "{{ Event.Payload }}"},
    "criteria": "{{ Context.who != 'x' }}",
    "command": {"name": "c", "packName": "P", "packLabels": {}, "input": ["{{ Context.who }}"]},
}
FITTING: dict[str, Any] = {
    "register_pack": {
        "name": "P",
        "labels": {"env": "dev"},
        "commands": [{"name": "c", "events": ["E"], "links": [LINK]}],
        "events": [{"name": "E", "links": [LINK]}],
        "links": [LINK],
    },
    "put_flow": {"name": "f", "description": "d", "steps": [STEP, STEP | {"id": "t"}]},
    "post_event": {"event": "Go", "payload": {"a": 1}, "createdAt": "2026-11-23T21:00:00Z"},
    "post_result": {"event": "FATAL", "payload": "p", "createdAt": "2026-11-23T21:00:00Z"},
}


@st.composite
def bent(draw: st.DrawFn, document: Any) -> Any:
    """``document`` with one part of it, however deep, left out or replaced."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 3)) == 0:
        return draw(st.one_of(values, times) if isinstance(document, str) else values)
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = draw(st.sampled_from(keys))
    copy = document.copy()
    if draw(st.integers(0, 4)):
        copy[key] = draw(bent(document[key]))
    else:
        del copy[key]
    return copy


@pytest.fixture
def described(call: Any) -> Any:
    """Our document, as schemathesis reads it."""
    return schemathesis.openapi.from_wsgi("/v1/swagger", as_wsgi(call.flyte.asgi))


@pytest.fixture
def known(call: Any, step: Callable[..., Any]) -> Callable[[], dict[str, str]]:
    """Makes one of everything; returns what paths call them."""

    def make() -> dict[str, str]:
        call.pack()
        call.flow(step("Go", "c", id="s"), step("FATAL", "c", id="t", dependsOn=["s"]), name="f")
        call("PUT", "/v1/datastore/k", data={"value": (BytesIO(b"{}"), "x", "application/json")})
        call.event("Go")
        action = call.take()["links"][0]["href"].split("/")[-2]
        execution = call.executions("?flowName=f&limit=1")[0]["correlationId"]
        return {
            "packId": "P",
            "flowName": "f",
            "key": "k",
            "actionId": action,
            "correlationId": execution,
        }

    return make


def check(case: Any, operation: Operation) -> int:
    answer = case.call_and_validate(checks=[status_code_conformance])
    assert "internal error" not in answer.text
    assert answer.status_code in operation.answers
    return int(answer.status_code)


@pytest.mark.parametrize("examples", [10, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("operation", "mode"), KINDS, ids=[f"{it.name}-{mode.value}" for it, mode in KINDS]
)
def test_what_the_document_tells(
    described: Any, known: Callable[..., Any], operation: Operation, mode: Any, examples: int
) -> None:
    """Names and bodies as the document allows them, and as it does not"""
    found = described.find_operation_by_id(operation.name)
    seen = set()

    @settings(FEW, max_examples=examples)
    @given(found.as_strategy(generation_mode=mode), st.booleans())
    def send(case: Any, exists: bool) -> None:
        if exists:
            names = known()
            case.path_parameters = {name: names[name] for name in operation.parameters()}
        seen.add(check(case, operation))

    send()
    assert seen


@pytest.mark.parametrize("examples", [20, pytest.param(400, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", FITTING)
def test_almost_what_is_expected(
    call: Any, described: Any, known: Callable[..., Any], name: str, examples: int
) -> None:
    """Bodies that fit except for one part; and what they leave behind can be run and shown"""
    operation = next(each for each in OPERATIONS if each.name == name)
    found = described.find_operation_by_id(name)
    seen = set()

    @settings(FEW, max_examples=examples)
    @given(bent(FITTING[name]))
    def send(body: Any) -> None:
        names = known()
        parameters = {each: names[each] for each in operation.parameters()}
        case = found.Case(path_parameters=parameters, body=body, media_type="application/json")
        seen.add(check(case, operation))
        event = {"event": "Go", "payload": body}
        assert call("POST", "/v1/packs/P/events", event).status_code in {202, 400}
        call.take()
        for path in ("packs", "packs/P", "flows", "flows/f", "audit/flows?limit=2"):
            for accept in ("application/json", "application/x-yaml"):
                shown = call("GET", f"/v1/{path}", headers={"Accept": accept})
                assert shown.status_code == 200, shown.text

    send()
    assert seen == set(operation.answers) - {404, 500}


def test_a_second_result_is_the_documented_500(described: Any, known: Callable[..., Any]) -> None:
    found = described.find_operation_by_id("post_result")
    operation = next(each for each in OPERATIONS if each.name == "post_result")
    names = known()
    parameters = {each: names[each] for each in operation.parameters()}
    case = found.Case(path_parameters=parameters, body={}, media_type="application/json")
    assert [check(case, operation) for _ in range(2)] == [202, 500]


def test_a_5xx_that_is_not_in_the_document_is_found(call: Any, described: Any) -> None:
    """The check can fail: without a store there is a 500 that the document does not have"""
    call.flyte.close()
    operation = next(each for each in OPERATIONS if each.name == "list_packs")
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        check(described.find_operation_by_id("list_packs").Case(), operation)


@pytest.mark.parametrize("served", [False, True])
def test_any_item(call: Any, url: str, session: requests.Session, served: bool) -> None:
    """PUT /v1/datastore/{key}: what is put under any name and type can be fetched again"""
    seen = set()

    def send(method: str, key: str, **options: Any) -> tuple[int, bytes]:
        path = f"/v1/datastore/{quote(key, safe='')}"
        if served:
            answer = session.request(method, url + path, **options)
            return answer.status_code, answer.content
        answer = call(method, path, **options)
        return answer.status_code, answer.data

    @settings(FEW, max_examples=50)
    @given(keys, texts, types, st.binary(min_size=1, max_size=20))
    def put(key: str, filename: str, content_type: str, value: bytes) -> None:
        head = f'Content-Disposition: form-data; name="value"; filename="{filename}"'
        part = f"--frame\r\n{head}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        headers = {"Content-Type": "multipart/form-data; boundary=frame"}
        body = part + value + b"\r\n--frame--\r\n"
        status, _ = send("PUT", key, data=body, headers=headers)
        seen.add(status)
        assert status in {201, 204, 400, 404}
        if status < 300:
            assert send("GET", key) == (200, value)

    put()
    assert seen >= {201, 204, 400}


def test_a_content_type_beyond_latin_1_comes_back(url: str, session: requests.Session) -> None:
    """GET /v1/datastore/{key}: the type as it was put, which made the server fail once"""
    body = (
        b'--frame\r\nContent-Disposition: form-data; name="value"; filename="f"\r\n'
        + "Content-Type: text/\u017elu\u0165\r\n\r\nx\r\n--frame--\r\n".encode()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=frame"}
    put = session.put(f"{url}/v1/datastore/k", data=body, headers=headers)
    assert put.status_code == 201
    answer = session.get(f"{url}/v1/datastore/k")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].encode("latin-1").decode() == "text/\u017elu\u0165"
