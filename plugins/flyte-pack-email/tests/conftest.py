from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flyte_pack_email import EmailPack, EmailSettings

from .mail_server import MailServer

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., EmailPack]:
    def make(address: str, **settings: Any) -> EmailPack:
        return EmailPack(EmailSettings(address, **settings), {}, lambda: NOW)

    return make


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[EmailPack, Any], tuple[str, Any]]:
    """Run SendEmail and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "SendEmail", document)
