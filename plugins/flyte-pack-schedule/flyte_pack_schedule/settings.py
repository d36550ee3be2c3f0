"""What an operator can set.

Owns names, defaults and their checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


@dataclass(frozen=True, slots=True)
class CronEntry:
    """The table ``[packs.<instance>.settings.schedules.<name>]``."""

    cron: str
    """When: minute, hour, day, month, day of the week; six fields begin with the second."""

    zone: str = "UTC"
    """The time zone of ``cron``, by its IANA name."""

    event: str = "Fired"
    """The event that is raised."""

    payload: Any = None
    """Given to the event as it is."""

    misfire: Literal["skip", "once", "all"] = "skip"
    """What happens to times that were missed by more than ``grace_seconds``."""

    grace_seconds: float = 60
    """How late an event is still on time."""

    def __post_init__(self) -> None:
        try:
            next(CronSim(self.cron, datetime.now(UTC)))
        except CronSimError as cause:
            raise ValueError(
                f"cron: found {self.cron!r}, expected 5 or 6 fields: {cause}"
            ) from None
        except StopIteration:
            raise ValueError(f"cron: found {self.cron!r}, which never comes") from None
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError):
            expected = "a time zone like 'Europe/London'"
            raise ValueError(f"zone: found {self.zone!r}, expected {expected}") from None
        if not self.event or self.event == "FATAL":
            raise ValueError(f"event: found {self.event!r}, expected the name of an event")
        if self.grace_seconds <= 0:
            raise ValueError(f"grace_seconds: found {self.grace_seconds:g}, expected more than 0")


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """The table ``[packs.<instance>.settings]``."""

    schedules: Mapping[str, CronEntry] = field(default_factory=dict)
    """Each schedule by its name, which its events carry."""
