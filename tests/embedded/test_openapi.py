"""The table of operations, the routes, the docs and the contract tests name the same things."""

import re
from pathlib import Path
from typing import Any

import pytest

from flyte_host.embedded.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "reference" / "embedded.md").read_text()


def test_swagger(call: Any) -> None:
    """GET /v1/swagger: an OpenAPI document of our own"""
    document = call("GET", "/v1/swagger").get_json()
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "http://localhost"}]
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(each.method, each.path) for each in OPERATIONS}
    take = document["paths"]["/v1/packs/{packId}/actions/take"]["post"]
    assert [(each["name"], each["in"], each["required"]) for each in take["parameters"]] == [
        ("packId", "path", True),
        ("actionName", "query", False),
        ("commandName", "query", False),
    ]
    put = document["paths"]["/v1/datastore/{key}"]["put"]
    assert list(put["requestBody"]["content"]) == ["multipart/form-data"]


def test_swagger_in_yaml(call: Any) -> None:
    answer = call("GET", "/v1/swagger", headers={"Accept": "application/x-yaml"})
    assert "openapi: 3.1.0\n" in answer.text


def test_page(call: Any) -> None:
    """GET /swagger"""
    answer = call("GET", "/swagger")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for operation in OPERATIONS:
        assert f"<td>{operation.method}</td><td>{operation.path}</td>" in answer.text


def test_the_docs_have_every_operation() -> None:
    rows = re.findall(r"^\| `(\w+) (\S+)` \| (.+?) \| (.+?) \|$", DOCS, re.MULTILINE)
    expected = [
        (
            each.method,
            each.path,
            each.summary,
            "; ".join(f"{code}: {text}" for code, text in each.answers.items()),
        )
        for each in OPERATIONS
    ]
    assert rows == expected


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_has_a_test_that_names_it(operation: Any) -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("*/test_*.py"))
    assert f'"""{operation.method} {operation.path}' in tests or (
        f", {operation.method} {operation.path}" in tests
    )


def test_every_difference_is_in_the_docs() -> None:
    """What the contract tests mark as different has a sentence in the reference."""
    marked = sum(
        path.read_text().count("flyte.differs(")
        for path in (ROOT / "tests" / "contract").glob("test_*.py")
    )
    section = DOCS.partition("## Differences")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| ", section, re.MULTILINE)) - 1 >= marked // 2
