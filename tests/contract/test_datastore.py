"""Section 1, the datastore."""

from collections.abc import Callable
from typing import Any

import pytest

Put = Callable[..., Any]


@pytest.fixture
def put(flyte: Any) -> Put:
    def put(key: str, value: Any, description: str | None = None) -> Any:
        fields = {"description": description} if description else {}
        return flyte.call("PUT", f"/v1/datastore/{key}", files={"value": value}, data=fields)

    return put


JSON = "application/json"


def test_put(flyte: Any, put: Put) -> None:
    """PUT /v1/datastore/{key}"""
    key = flyte.name("teams")
    new = put(key, ("v.json", b'{"a": 1}', JSON))
    assert (new.status_code, new.content) == (201, b"")
    assert "Location" not in new.headers
    changed = put(key, ("v.json", b'{"a": 2}', JSON))
    assert changed.status_code == 204
    assert "Location" not in changed.headers
    same = put(key, ("v.json", b'{"a": 2}', JSON))
    assert same.status_code == flyte.differs(
        here=204, go=201, why="nothing was created; Go takes the store's 'nothing modified' for new"
    )


def test_get(flyte: Any, put: Put) -> None:
    """GET /v1/datastore/{key}"""
    key = flyte.name("teams")
    put(key, ("v.json", b'{"a": 2}', JSON))
    answer = flyte.call("GET", f"/v1/datastore/{key}", headers={"Accept": "application/x-yaml"})
    assert (answer.status_code, answer.content) == (200, b'{"a": 2}')
    assert answer.headers["Content-Type"] == JSON
    assert flyte.status("GET", "/v1/datastore/none") == 404


def test_default_content_type(flyte: Any, put: Put) -> None:
    """PUT /v1/datastore/{key}: default content type"""
    key = flyte.name("plain")
    assert put(key, ("x", b"hello")).status_code == 201
    answer = flyte.call("GET", f"/v1/datastore/{key}")
    assert answer.headers["Content-Type"] == "text/plain; charset=us-ascii"


@pytest.mark.parametrize(
    "options",
    [
        {"files": {"other": ("x", b"hello")}},
        {"files": {"value": ("v.json", b"", JSON)}},
        {"files": {"value": (None, b"hello")}},
        {"json": {"a": 1}},
        {"data": b""},
        {"data": b"--B\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=B"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ],
)
def test_put_without_a_file(flyte: Any, options: dict[str, Any]) -> None:
    """PUT /v1/datastore/{key}: 400 no or empty `value` file"""
    key = flyte.name("nofile")
    assert flyte.status("PUT", f"/v1/datastore/{key}", **options) == 400
    assert flyte.status("GET", f"/v1/datastore/{key}") == 404


def test_list(flyte: Any, put: Put) -> None:
    """GET /v1/datastore"""
    key = flyte.name("listed")
    put(key, ("v.json", b"{}", JSON), "the teams")
    document = flyte.call("GET", "/v1/datastore").json()
    assert list(document) == ["links", "datastore"]
    assert [link["rel"] for link in document["links"]] == ["self", "up", "help"]
    [item] = [item for item in document["datastore"] if item["key"] == key]
    assert item == {
        "key": key,
        "contentType": JSON,
        "description": "the teams",
        "links": [{"href": f"{flyte.url}/v1/datastore/{key}", "rel": "self"}],
    }


def test_delete(flyte: Any, put: Put) -> None:
    """DELETE /v1/datastore/{key}"""
    key = flyte.name("gone")
    put(key, ("x", b"1"))
    assert flyte.status("DELETE", f"/v1/datastore/{key}") == 204
    assert flyte.status("DELETE", f"/v1/datastore/{key}") == 404


def test_flows_read_it(flyte: Any, put: Put, step: Any) -> None:
    """4. datastore(key)"""
    pack, key = flyte.pack(), flyte.name("d")
    put(key, ("v.json", b'{"Ada": "Lovelace"}', JSON))
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", input=f"{{{{ datastore('{key}').Ada }}}}"))
    flyte.event(pack, "Go")
    assert flyte.take(pack)["input"] == "Lovelace"
