"""What an operator can set, and the environment that scripts get from it.

Owns names, defaults and their checks. Must not know processes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True, slots=True)
class ShellSettings:
    """The table ``[packs.<instance>.settings]``; without it the pack behaves as the Go pack."""

    bash: str = "bash"
    """The shell to run: a path, or a name that is looked up on the PATH of the scripts."""

    working_directory: str | None = None
    """Where scripts start; None: where the host was started."""

    environment: Literal["inherit"] | tuple[str, ...] = "inherit"
    """The variables of the host that scripts see: all, or those with these names (``LC_*`` too)."""

    withheld_environment: tuple[str, ...] = ("FLYTE_JWT", "JIRA_PASSWORD")
    """Variables that scripts never see, whatever ``environment`` says; ``*_TOKEN`` works too."""

    timeout_seconds: float | None = None
    """How long a script and everything it left running may take; None: forever."""

    stop_grace_seconds: float = 20
    """How long scripts may run after the host began to stop; less than its drain_seconds."""

    max_output_bytes: int = 4 * 1024 * 1024
    """How much of stdout, and as much of stderr, is kept; flyte's store refuses 16 MB."""

    def __post_init__(self) -> None:
        if self.timeout_seconds is not None and self.timeout_seconds <= 0:
            raise ValueError(_too_small("timeout_seconds", self.timeout_seconds, "more than 0"))
        if self.stop_grace_seconds < 0:
            raise ValueError(_too_small("stop_grace_seconds", self.stop_grace_seconds, "0 or more"))
        if self.max_output_bytes < 0:
            raise ValueError(_too_small("max_output_bytes", self.max_output_bytes, "0 or more"))

    def environment_of(self, host: Mapping[str, str]) -> dict[str, str]:
        """Which of the host's variables a script gets."""
        wanted = ("*",) if self.environment == "inherit" else self.environment
        return {
            name: value
            for name, value in host.items()
            if _matches(name, wanted) and not _matches(name, self.withheld_environment)
        }


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _too_small(name: str, found: float, expected: str) -> str:
    return f"{name}: found {found:g}, expected {expected}"
