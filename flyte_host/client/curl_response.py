"""An answer that libcurl received, as requests' response.

Builds only what is read: most callers read only the status and the body.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import requests


class HeadFields(Mapping[str, str]):
    """Headers as they came, read when they are asked for; several of a name are one list."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def __getitem__(self, name: str) -> str:
        if f"\n{name}".lower().encode() not in self._head.lower():  # most that are asked for
            raise KeyError(name)
        values = [value for found, value in self._fields() if found.lower() == name.lower()]
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): name for name, _ in self._fields()}.values())

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _fields(self) -> Iterator[tuple[str, str]]:
        for line in self._head.decode("latin-1").split("\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                yield name.strip(), value.strip()


NO_FIELDS = HeadFields(b"")


class CurlResponse(requests.Response):
    """Without a cookie jar, which is half of what a response costs."""

    _content = False
    _content_consumed = False
    _next = None
    history = ()  # type: ignore[assignment]
    encoding = None
    reason = ""
    elapsed = timedelta(0)

    def __init__(self, request: requests.PreparedRequest, status_code: int) -> None:
        self.request = request
        self.url = str(request.url)
        self.status_code = status_code
        self.headers = NO_FIELDS  # type: ignore[assignment]
