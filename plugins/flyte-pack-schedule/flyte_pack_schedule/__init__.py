"""Events by cron expressions, as a plugin of flyte-host."""

from flyte_pack_schedule.pack import SchedulePack
from flyte_pack_schedule.settings import CronEntry, ScheduleSettings

__all__ = ["CronEntry", "SchedulePack", "ScheduleSettings"]
