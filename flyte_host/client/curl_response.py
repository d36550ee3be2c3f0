"""An answer that libcurl received, as requests' response.

Owns that nothing is made of it that nobody reads: most answers are looked at for their status and
body alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import requests


class HeaderLines(Mapping[str, str]):
    """Headers as they came, read when they are asked for; several of a name are one list."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        values = [value for found, value in self._fields() if found.lower() == name.lower()]
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): name for name, _ in self._fields()}.values())

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _fields(self) -> Iterator[tuple[str, str]]:
        for line in self._lines[1:]:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                yield name.strip(), value.strip()


class CurlResponse(requests.Response):
    """Without a cookie jar, which is half of what a response costs."""

    def __init__(self, request: requests.PreparedRequest, status_code: int) -> None:
        self.request = request
        self.url = str(request.url)
        self.status_code = status_code
        self.headers = HeaderLines(())  # type: ignore[assignment]
        self._content = False
        self._content_consumed = False
        self._next = None
        self.history = []
        self.encoding = None
        self.reason = ""
        self.elapsed = timedelta(0)
