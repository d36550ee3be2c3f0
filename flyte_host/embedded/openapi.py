"""The operations of the API as an OpenAPI document."""

from typing import Any

from flyte_host.embedded.operations import OPERATIONS, Operation


def openapi_document(base: str) -> dict[str, Any]:
    """The OpenAPI document of the API at ``base``."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flyte",
            "version": "1",
            "description": "Flows between packs. Answers are JSON, or YAML where `Accept` is "
            "exactly `application/x-yaml`; bodies too, by `Content-Type`.",
        },
        "servers": [{"url": base}],
        "paths": paths,
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *(_parameter(name, "path", "") for name in operation.parameters()),
            *(_parameter(name, "query", meaning) for name, meaning in operation.query.items()),
        ],
        "responses": {str(code): {"description": text} for code, text in operation.answers.items()},
    }
    return described | ({"requestBody": _body(operation)} if operation.body else {})


def _parameter(name: str, where: str, meaning: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": meaning,
        "schema": {"type": "integer" if name in {"start", "limit"} else "string"},
    }


def _body(operation: Operation) -> dict[str, Any]:
    media = ["application/json", "application/x-yaml"]
    if operation.body.startswith("multipart"):
        media = ["multipart/form-data"]
    return {
        "required": True,
        "description": operation.body,
        "content": {kind: {"schema": {"type": "object"}} for kind in media},
    }
