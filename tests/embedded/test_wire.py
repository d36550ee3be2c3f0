"""Answers to the byte as the Go server gives them, recorded from one on 127.0.0.1:8080.

Ids and times are this run's; everything else is compared as it is on the wire.
"""

import json
import re
from typing import Any

import pytest

HOST = {"Host": "127.0.0.1:8080"}

V1 = (
    b'{"links":[{"href":"http://127.0.0.1:8080/v1","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#!/info/v1","rel":"help"},'
    b'{"href":"http://127.0.0.1:8080/health",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/info/health"},'
    b'{"href":"http://127.0.0.1:8080/v1/packs",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/pack/listPacks"},'
    b'{"href":"http://127.0.0.1:8080/v1/flows",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/flow/listFlows"},'
    b'{"href":"http://127.0.0.1:8080/v1/datastore",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/datastore/listDatastoreItems"},'
    b'{"href":"http://127.0.0.1:8080/v1/audit/flows",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/flowAudit/findFlows"},'
    b'{"href":"http://127.0.0.1:8080/v1/swagger","rel":"http://127.0.0.1:8080/swagger"}]}'
)

REGISTRATION = (
    b'{"name":"Bench","events":[{"name":"Echoed"}],'
    b'"commands":[{"name":"echo","events":["Echoed"]}],'
    b'"links":[{"href":"http://127.0.0.1/help","rel":"help"}]}'
)
REGISTERED = (
    b'{"id":"Bench","name":"Bench","commands":[{"name":"echo","events":["Echoed"],"links":['
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench/actions/take?commandName=echo",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/action/takeAction"}]}],'
    b'"events":[{"name":"Echoed"}],"lastSeen":"TIME","links":['
    b'{"href":"http://127.0.0.1/help","rel":"help"},'
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1/packs","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench/actions/take",'
    b'"rel":"http://127.0.0.1:8080/swagger#!/action/takeAction"},'
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench/events",'
    b'"rel":"http://127.0.0.1:8080/swagger#/event"}],"status":"live"}'
)
PACKS = (
    b'{"links":[{"href":"http://127.0.0.1:8080/v1/packs","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/pack","rel":"help"}],"packs":['
    b'{"id":"Bench","name":"Bench","lastSeen":"TIME","links":['
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench","rel":"self"}],"status":"live"}]}'
)

FLOW = {
    "name": "bench_flow",
    "description": "Triggered -> echo",
    "steps": [
        {
            "id": "kick",
            "event": {"packName": "Bench", "name": "Triggered"},
            "context": {"who": "{{ Event.Payload.who }}"},
            "command": {
                "packName": "Bench",
                "name": "echo",
                "input": {
                    "who": "{{ Context.who }}",
                    "n": "{{ Event.Payload.n }}",
                    "fixed": 3,
                    "f": 1.5,
                    "t": True,
                    "z": None,
                    "l": [1, "{{ Event.Name }}"],
                },
            },
        },
        {
            "id": "after",
            "dependsOn": ["kick"],
            "event": {"packName": "Bench", "name": "Echoed"},
            "criteria": "{{ Event.Payload.n == '7' }}",
            "command": {"packName": "Bench", "name": "echo", "input": "for {{ Context.who }}"},
        },
    ],
}
STEPS = (
    b'"steps":[{"id":"kick","event":{"name":"Triggered","packName":"Bench"},'
    b'"context":{"who":"{{ Event.Payload.who }}"},'
    b'"command":{"name":"echo","packName":"Bench","input":{"f":1.5,"fixed":3,'
    b'"l":[1,"{{ Event.Name }}"],"n":"{{ Event.Payload.n }}","t":true,'
    b'"who":"{{ Context.who }}","z":null}}},'
    b'{"id":"after","dependsOn":["kick"],"event":{"name":"Echoed","packName":"Bench"},'
    b'"criteria":"{{ Event.Payload.n == \'7\' }}",'
    b'"command":{"name":"echo","packName":"Bench","input":"for {{ Context.who }}"}}]'
)
GOT_FLOW = (
    b'{"name":"bench_flow","description":"Triggered -\\u003e echo",' + STEPS + b',"links":['
    b'{"href":"http://127.0.0.1:8080/v1/flows/bench_flow","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1/flows","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/flow","rel":"help"}]}'
)
FLOWS = (
    b'{"flows":[{"name":"bench_flow","description":"Triggered -\\u003e echo","links":['
    b'{"href":"http://127.0.0.1:8080/v1/flows/bench_flow","rel":"self"}]}],"links":['
    b'{"href":"http://127.0.0.1:8080/v1/flows","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/flow","rel":"help"}]}'
)

EVENT = (
    b'{"event": "Triggered", "payload": {"who": "Ada & <Bob>", "n": 7}, '
    b'"createdAt": "2026-11-23T21:00:00.123456789Z"}'
)
INPUT = (
    b'{"f":1.5,"fixed":3,"l":[1,"Triggered"],"n":"7.000000","t":true,'
    b'"who":"Ada \\u0026 \\u003cBob\\u003e"}'
)
TAKEN = (
    b'{"command":"echo","input":' + INPUT + b',"links":['
    b'{"href":"http://127.0.0.1:8080/v1/packs/Bench/actions/ID/result",'
    b'"rel":"http://127.0.0.1:8080/swagger#/actionResult"}]}'
)
RESULT = b'{"event":"Echoed","payload":' + INPUT + b',"createdAt":"2026-11-23T21:46:53.2995012Z"}'
AUDIT = (
    b'{"flows":[{"name":"bench_flow","uuid":"ID","correlationId":"ID",' + STEPS + b","
    b'"actions":{"kick":{"id":"ID","name":"echo","packName":"Bench","input":' + INPUT + b","
    b'"state":{"value":"SUCCESS","time":"TIME"},"states":[{"value":"NEW","time":"TIME"},'
    b'{"value":"PENDING","time":"TIME"},{"value":"SUCCESS","time":"TIME"}],'
    b'"correlationId":"ID","flowName":"bench_flow","flowUUID":"ID","stepId":"kick",'
    b'"context":{"who":"Ada \\u0026 \\u003cBob\\u003e"},'
    b'"trigger":{"event":"Triggered","pack":{"id":"Bench","name":"Bench"},'
    b'"payload":{"n":7,"who":"Ada \\u0026 \\u003cBob\\u003e"},'
    b'"createdAt":"TIME","receivedAt":"TIME"},'
    b'"result":{"event":"Echoed","pack":{"id":"Bench","name":"Bench"},"payload":' + INPUT + b","
    b'"createdAt":"TIME","receivedAt":"TIME"}}},'
    b'"links":[{"href":"http://127.0.0.1:8080/v1/audit/flows/ID","rel":"self"}]}],'
    b'"links":[{"href":"http://127.0.0.1:8080/v1/audit/flows","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/flowExecs","rel":"help"}]}'
)


def same(body: bytes) -> bytes:
    """``body`` without what differs from run to run."""
    body = re.sub(rb"\b[0-9a-f]{24}\b", b"ID", body)
    return re.sub(rb'"\d{4}-\d\d-\d\dT[\d:.]+Z"', b'"TIME"', body)


@pytest.fixture
def go(start: Any) -> Any:
    """Calls an embedded flyte as if it were the recorded server: (status, headers, body).

    Without the headers that only browsers look at, which the Go server does not send.
    """
    call = start()

    def go(method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        headers = HOST | ({"Content-Type": "application/json"} if body else {})
        answer = call(
            method, path.removeprefix("http://127.0.0.1:8080"), data=body, headers=headers
        )
        return answer.status_code, dict(answer.headers), answer.data

    return go


JSON = {"Content-Type": "application/json; charset=utf-8"}


def test_the_happy_path(go: Any) -> None:
    assert go("GET", "/v1") == (200, JSON | {"Content-Length": "760"}, V1)
    assert go("GET", "/health") == (200, {"Content-Length": "0"}, b"")

    status, headers, body = go("POST", "/v1/packs", REGISTRATION)
    assert (status, same(body)) == (201, REGISTERED)
    assert headers["Location"] == "http://127.0.0.1:8080/v1/packs/Bench"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert same(go("GET", "/v1/packs/Bench")[2]) == REGISTERED
    assert same(go("GET", "/v1/packs")[2]) == PACKS
    assert go("POST", "/v1/packs/Bench/actions/take", b"null") == (204, {}, b"")

    location = {"Location": "http://127.0.0.1:8080/v1/flows/bench_flow", "Content-Length": "0"}
    assert go("POST", "/v1/flows", json.dumps(FLOW).encode()) == (201, location, b"")
    assert go("GET", "/v1/flows/bench_flow")[2] == GOT_FLOW
    assert go("GET", "/v1/flows")[2] == FLOWS

    accepted = (202, {"Content-Length": "0"}, b"")
    assert go("POST", "/v1/packs/Bench/events", EVENT) == accepted
    status, headers, body = go("POST", "/v1/packs/Bench/actions/take", b"null")
    assert (status, same(body)) == (200, TAKEN)
    assert headers == JSON | {"Content-Length": "275"}
    href = json.loads(body)["links"][0]["href"]
    assert go("POST", href, RESULT) == accepted
    assert same(go("GET", "/v1/audit/flows")[2]) == AUDIT


NO_EXECUTIONS = (
    b'{"flows":[],"links":[{"href":"http://127.0.0.1:8080/v1/audit/flows","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/flowExecs","rel":"help"}]}'
)
NO_ITEMS = (
    b'{"links":[{"href":"http://127.0.0.1:8080/v1/datastore","rel":"self"},'
    b'{"href":"http://127.0.0.1:8080/v1","rel":"up"},'
    b'{"href":"http://127.0.0.1:8080/swagger#/datastore","rel":"help"}],"datastore":[]}'
)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/audit/flows?flowName=nope", NO_EXECUTIONS), ("/v1/datastore", NO_ITEMS)],
)
def test_empty_lists(go: Any, path: str, body: bytes) -> None:
    assert go("GET", path)[2] == body
