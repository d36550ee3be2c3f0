"""A registered pack as flyte's API tells it."""

from datetime import datetime

import msgspec


class CommandRecord(msgspec.Struct):
    """A command that a pack has registered."""

    name: str
    events: list[str] | None = None


class PackRecord(msgspec.Struct, rename="camel"):
    """A registered pack; a list of packs has no ``commands``."""

    id: str
    name: str
    labels: dict[str, str] | None = None
    last_seen: datetime | None = None
    status: str = ""
    commands: list[CommandRecord] | None = None
