"""A request of a sender of webhooks, as far as it was read, and how it is refused.

A header that decides something may occur only once. Must not know who sends what.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from flyte_pack_kit import parse_json


class WebhookRefused(Exception):
    """The request is refused: with this status, and a reason for the log and the sender."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """Headers as they came, and the bytes that were signed."""

    headers: Iterable[tuple[bytes, bytes]]
    body: bytes
    query: str = ""

    def header(self, name: str) -> str:
        """The value of a header, empty without one; raises WebhookRefused for several."""
        wanted = name.lower().encode()
        found = [value for each, value in self.headers if each.lower() == wanted]
        if len(found) > 1:
            raise WebhookRefused(400, f"found {len(found)} headers {name}, expected one")
        return found[0].decode("latin-1") if found else ""

    def fields(self) -> dict[str, str]:
        """All headers by their names in lower case: of several the first, for nothing decisive."""
        each = [(name.lower().decode("latin-1"), value) for name, value in self.headers]
        return {name: value.decode("latin-1") for name, value in reversed(each)}

    def required(self, name: str) -> str:
        """The value of a header; raises WebhookRefused without one."""
        value = self.header(name)
        if not value:
            raise WebhookRefused(401, f"found no header {name}")
        return value

    @property
    def content_type(self) -> str:
        """Without its parameters."""
        return self.header("Content-Type").split(";")[0].strip().lower()

    def form(self) -> dict[str, str]:
        """The fields of a form; raises WebhookRefused for what is none."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=1000))
        except ValueError as cause:
            raise WebhookRefused(400, f"the body is not a form: {cause}") from None

    def document(self) -> dict[str, Any]:
        """The JSON of the body, or of the field ``payload`` of a form."""
        if self.content_type == "application/x-www-form-urlencoded":
            return decode_object(self.form().get("payload", "").encode())
        return decode_object(self.body)


def decode_object(content: bytes) -> dict[str, Any]:
    """A JSON object; raises WebhookRefused for anything else."""
    try:
        document = parse_json(content)
    except ValueError as cause:
        raise WebhookRefused(400, f"the body is not valid JSON: {cause}") from None
    if not isinstance(document, dict):
        raise WebhookRefused(400, "the body is not a JSON object")
    return document
