"""What a script said, as far as an event has room for it.

Owns which part is kept, and the notes on what is not. Must not know processes.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

LARGEST_JSON_BYTES = 7_000_000
"""How large each stream may be as JSON: flyte keeps 16 MB for an event."""


@dataclass(slots=True)
class KeptOutput:
    """The first bytes of a stream."""

    name: str
    limit_bytes: int
    kept: bytearray = field(default_factory=bytearray)
    dropped_bytes: int = 0

    def add(self, chunk: bytes) -> None:
        room = self.limit_bytes - len(self.kept)
        self.kept += chunk[:room]
        self.dropped_bytes += max(len(chunk) - room, 0)

    def text(self) -> str:
        whole, _ = self._decoded()
        return self._fitting(whole)

    def notes(self) -> Iterator[str]:
        whole, decoded_bytes = self._decoded()
        if dropped_bytes := self.dropped_bytes + len(self.kept) - decoded_bytes:
            yield (
                f"{dropped_bytes} bytes of {self.name} were dropped"
                f" (max_output_bytes = {self.limit_bytes})"
            )
        if dropped := len(whole) - len(self._fitting(whole)):
            yield (
                f"the last {dropped} characters of {self.name} were dropped: as JSON it would have "
                f"more than {LARGEST_JSON_BYTES} bytes"
            )

    def _decoded(self) -> tuple[str, int]:
        """The text, and its number of bytes; leaves out a character that the limit cut."""
        return codecs.utf_8_decode(self.kept, "replace", not self.dropped_bytes)

    def _fitting(self, text: str) -> str:
        """As much of it as fits: a byte that is not text takes up to six in JSON."""
        if 6 * len(text) <= LARGEST_JSON_BYTES or _json_bytes(text) <= LARGEST_JSON_BYTES:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if _json_bytes(text[:middle]) <= LARGEST_JSON_BYTES:
                fits = middle
            else:
                too_long = middle
        return text[:fits]


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())
