"""Requests to a flyte in this process: it is called, and nothing is sent.

Owns which requests go there: those below its URL. A link that leads elsewhere goes over the wire.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import requests

Application = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]
"""Answers method, target (path and query), headers with lower-case names, and body with status,
headers with lower-case names and body, in the thread of the caller. Raises ConnectionRefusedError
once it is stopped.
"""


class DirectCalls:
    """Calls ``application`` for what is below ``url``."""

    def __init__(self, url: str, application: Application) -> None:
        self._url = url
        self._below = f"{url}/"
        self._application = application

    def lead_to(self, request: requests.PreparedRequest) -> bool:
        """Whether the application answers it."""
        return str(request.url).startswith(self._below)

    def call(self, request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer."""
        target = str(request.url)[len(self._url) :]
        headers = cast("Mapping[str, str]", dict(request.headers.lower_items()))
        body = cast("bytes", request.body or b"")
        status, fields, content = self._application(str(request.method), target, headers, body)
        return status, DirectFields(fields), content


class DirectFields(Mapping[str, str]):
    """Headers whose names may be asked for in any case."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
