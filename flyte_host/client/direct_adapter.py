"""requests' transport adapter for a flyte in this process: it is called, and nothing is sent.

Owns which requests go there: those below its URL. A link that leads elsewhere goes over the wire.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

Application = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]
"""Answers method, target (path and query), headers with lower-case names, and body with status,
headers and body, in the thread of the caller. Raises ConnectionRefusedError once it is stopped.
"""


class DirectAdapter(BaseAdapter):
    """Requests below ``url`` are answered by ``application``, others by ``others``."""

    def __init__(self, url: str, application: Application, others: BaseAdapter) -> None:
        super().__init__()
        self._url = url
        self._below = f"{url}/"
        self._application = application
        self._others = others

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        """The answer; ``how`` it is sent matters only to the others."""
        url = str(request.url)
        if not url.startswith(self._below):
            return self._others.send(request, **how)
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        body = cast("bytes", request.body or b"")
        method = str(request.method)
        status, fields, content = self._application(method, url[len(self._url) :], headers, body)
        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(fields)
        response.raw = io.BytesIO(content)
        response.url = url
        response.request = request
        return response

    def close(self) -> None:
        """Close the others; the application is not ours."""
        self._others.close()
