"""Times for people: in their own zone, as in log lines.

Owns how a time looks. Scripts get times in UTC, by --json.
"""

from datetime import datetime


def time_of_day(moment: datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"


def short_moment(moment: datetime, now: datetime) -> str:
    """The time of day, with the date if that is not today."""
    here = moment.astimezone()
    return time_of_day(here) if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
