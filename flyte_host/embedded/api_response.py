"""An answer of flyte's API, independent of any web framework.

Owns the media types of documents and errors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from flyte_host.embedded.api_request import YAML, ApiRequest
from flyte_host.embedded.codec import write_json
from flyte_host.embedded.waiting_board import News, PackWatch
from flyte_host.embedded.yaml_codec import write_yaml

JSON_TYPE = "application/json; charset=utf-8"


class HeldAnswer(NamedTuple):
    """What a host waits for, and how to answer it then."""

    watch: PackWatch
    answer: Callable[[News], "ApiResponse"]


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """``location`` is not percent-encoded, like all links of flyte.

    ``held``: there is nothing to tell yet; another answer can be made when there is news.
    ``step`` says where a taken action belongs: ``flow/step/execution``, each percent-encoded. It
    is never sent. ``trace`` is its trace context, and ``action_state`` the state of an action that
    takes no result now: both travel in headers, because Go's documents have no place for them.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    location: str | None = None
    allow: str | None = None
    link: str | None = None
    held: "HeldAnswer | None" = None
    step: str | None = None
    trace: str = ""
    action_state: str | None = None


def document_response(request: ApiRequest, value: Any) -> ApiResponse:
    """A document as YAML if that is what the caller accepts, else as JSON."""
    if request.accept == YAML:
        return ApiResponse(200, write_yaml(value), f"{YAML}; charset=utf-8")
    return ApiResponse(200, write_json(value), JSON_TYPE)


def error_response(status: int, text: str) -> ApiResponse:
    """An error as JSON."""
    return ApiResponse(status, write_json({"error": text}), JSON_TYPE)
