"""Section 1, the entry points: links, health, description, routing."""

import socket
from typing import Any

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS


def links(answer: Any) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in answer.json()["links"]}


def test_index(flyte: Any) -> None:
    """GET /"""
    answer = flyte.call("GET", "/")
    assert answer.status_code == 200
    rels = [link["rel"] for link in answer.json()["links"]]
    assert rels == ["self", "help", f"{flyte.url}/swagger#!/info/v1"]
    assert links(answer)["self"] == f"{flyte.url}/"


def test_health(flyte: Any) -> None:
    """GET /health"""
    answer = flyte.call("GET", "/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_health_is_not_under_v1(flyte: Any) -> None:
    """GET /health"""
    assert flyte.status("GET", "/v1/health") == 404


def test_v1(flyte: Any) -> None:
    """GET /v1"""
    answer = flyte.call("GET", "/v1")
    base = flyte.url
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "links": [
            {"href": f"{base}/v1", "rel": "self"},
            {"href": f"{base}/", "rel": "up"},
            {"href": f"{base}/swagger#!/info/v1", "rel": "help"},
            {"href": f"{base}/health", "rel": f"{base}/swagger#!/info/health"},
            {"href": f"{base}/v1/packs", "rel": f"{base}/swagger#!/pack/listPacks"},
            {"href": f"{base}/v1/flows", "rel": f"{base}/swagger#!/flow/listFlows"},
            {
                "href": f"{base}/v1/datastore",
                "rel": f"{base}/swagger#!/datastore/listDatastoreItems",
            },
            {"href": f"{base}/v1/audit/flows", "rel": f"{base}/swagger#!/flowAudit/findFlows"},
            {"href": f"{base}/v1/swagger", "rel": f"{base}/swagger"},
        ]
    }


def test_swagger(flyte: Any) -> None:
    """GET /v1/swagger"""
    answer = flyte.call("GET", "/v1/swagger")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == flyte.differs(
        here="application/json; charset=utf-8",
        go="application/vnd.yaml; charset=utf-8",
        why="our description is a document like all others, so YAML only where it is asked for",
    )


def test_yaml_only_if_accept_is_exactly_that(flyte: Any) -> None:
    """YAML out"""
    exact = flyte.call("GET", "/v1", headers={"Accept": "application/x-yaml"})
    assert exact.headers["Content-Type"] == "application/x-yaml; charset=utf-8"
    assert exact.text.startswith("links:\n- href: ")
    other = flyte.call("GET", "/v1", headers={"Accept": "application/x-yaml, */*"})
    assert other.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"X-Forwarded-Proto": "https"}, "https://{host}"),
        ({"X-Forwarded-Host": "f.example"}, "http://f.example"),
        ({"X-Flyte-Host": "fh.example:9", "X-Forwarded-Host": "f.example"}, "http://fh.example:9"),
        ({"Host": "h.example"}, "http://h.example"),
    ],
)
def test_links_are_those_of_the_caller(flyte: Any, headers: dict[str, str], base: str) -> None:
    """Links are absolute: scheme and host as the caller or its proxy sees them"""
    answer = flyte.call("GET", "/v1", headers=headers)
    assert links(answer)["self"] == f"{base.format(host=flyte.host)}/v1"


@pytest.mark.parametrize(
    ("headers", "base", "go"),
    [
        ({"X-Forwarded-Proto": "https,http"}, "https://{host}", "https,http://{host}"),
        ({"X-Forwarded-Proto": "https , http"}, "https://{host}", "https , http://{host}"),
        ({"X-Forwarded-Host": "a.example, b.example"}, "http://a.example", None),
        ({"X-Flyte-Host": "a.example:9,b.example"}, "http://a.example:9", None),
    ],
)
def test_links_have_the_first_of_a_list(
    flyte: Any, headers: dict[str, str], base: str, go: str | None
) -> None:
    """Links are absolute: each of several proxies adds a value"""
    [value] = headers.values()
    answer = flyte.call("GET", "/v1", headers=headers)
    expected = flyte.differs(
        here=base, go=go or f"http://{value}", why="no link with a list in it leads anywhere"
    )
    assert links(answer)["self"] == f"{expected.format(host=flyte.host)}/v1"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Proto", '"><script>'),
        ("X-Forwarded-Host", "evil.example/a?"),
        ("X-Forwarded-Host", "user@evil.example"),
        ("X-Flyte-Host", "a b"),
    ],
)
def test_a_forwarded_value_that_is_none_does_not_count(flyte: Any, header: str, value: str) -> None:
    """Links are absolute: programs and people follow them"""
    answer = flyte.call("GET", "/v1", headers={header: value})
    is_scheme = header == "X-Forwarded-Proto"
    expected = flyte.differs(
        here=f"http://{flyte.host}",
        go=f"{value}://{flyte.host}" if is_scheme else f"http://{value}",
        why="no link with it leads anywhere",
    )
    assert links(answer)["self"] == f"{expected}/v1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nope", 404),
        ("GET", "/v1/", 404),
        ("POST", "/health", 405),
        ("PUT", "/v1/flows", 405),
        ("GET", "/v1/packs/M/actions/take", 405),
        ("OPTIONS", "/v1/packs", 200),
        ("GET", "/v1/packs/%2E%2E%2F%2E%2E%2Fetc", 404),
        ("GET", "/v1/flows/%00", 404),
    ],
)
def test_paths_and_methods(flyte: Any, method: str, path: str, status: int) -> None:
    """Unknown path 404, known path with wrong method 405"""
    assert flyte.status(method, path) == status


def test_head_follows_get(flyte: Any) -> None:
    """HEAD follows GET"""
    answer = flyte.call("HEAD", "/v1")
    assert (answer.status_code, answer.content) == (200, b"")


def test_errors_say_what_is_wrong(flyte: Any) -> None:
    """Error responses have no body (Go)"""
    answer = flyte.call("GET", "/v1/packs/Nobody")
    assert answer.text == flyte.differs(
        here='{"error":"no pack \'Nobody\'"}',
        go="",
        why="an error that says what was found saves its reader a look into the log",
    )


def test_dead_bytes_are_not_request(flyte: Any) -> None:
    """The server survives what is not HTTP"""
    host, _, port = flyte.host.partition(":")
    with socket.create_connection((host, int(port or 80)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(b"\x00\xff\r\n\r\n")
        connection.recv(1000)
    assert flyte.status("GET", "/health") == 200
