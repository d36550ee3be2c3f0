"""What the watching process passes to the serving one."""

from pathlib import Path

import msgspec


class DevOptions(msgspec.Struct, frozen=True):
    """``path`` is the project; ``state``, made at start, holds the journal and flyte's store.

    ``config`` is the configuration file; None means the project's, if it has one. ``listen`` is
    where flyte listens; None means where the configuration says, else the default.
    """

    path: Path
    config: Path | None = None
    listen: str | None = None
    log_level: str = "info"
    state: Path = Path()

    @property
    def config_file(self) -> Path | None:
        """The configuration file, if there is one."""
        own = self.path / "flyte-host.toml"
        return self.config or (own if own.exists() else None)

    def encode(self) -> str:
        """As an argument of a process."""
        return msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def decode(cls, text: str) -> "DevOptions":
        """What :meth:`encode` gave."""
        return msgspec.json.decode(text, type=cls, dec_hook=lambda kind, value: kind(value))
