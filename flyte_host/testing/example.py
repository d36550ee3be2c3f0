"""What a command takes, as a pack's author shows it."""

from typing import Any, NamedTuple


class Example(NamedTuple):
    """An input of a command; ``event`` is the event it must answer with, if only one will do."""

    command: str
    input: Any = None
    event: str | None = None
