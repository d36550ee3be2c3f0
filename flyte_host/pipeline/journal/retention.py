"""How many delivered actions are kept, for people to look at.

Owns which of them are forgotten, and shrinking the file again. Must not touch what is not
delivered. Steps are small, so that no write takes long.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

KEEP_DELIVERED = 10_000
"""How many delivered actions stay readable; older ones are forgotten."""
KEEP_DELIVERED_DAYS = 7
LARGEST_FILE_MEGABYTES = 256
FORGOTTEN_AT_ONCE = 50
PAGES_AT_ONCE = 200
DELIVERIES_A_STEP = 16
"""A step with each delivery would cost as much as the delivery; one forgets more than this."""
SPARE_PAGES = 250
"""Free pages that stay in the file, since the next entries need them anyway: 1 MB."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Delivered actions beyond any of the first three are forgotten, oldest first.

    One step is taken with every ``deliveries_a_step`` deliveries.
    """

    actions: int = KEEP_DELIVERED
    age: timedelta = timedelta(days=KEEP_DELIVERED_DAYS)
    file_bytes: int = LARGEST_FILE_MEGABYTES * 1_000_000
    deliveries_a_step: int = DELIVERIES_A_STEP

    def apply(self, db: sqlite3.Connection, now: datetime) -> None:
        """One step, in the caller's transaction."""
        self._forget_old(db, now)
        self._forget_for_space(db)
        _shrink(db)

    def _forget_old(self, db: sqlite3.Connection, now: datetime) -> None:
        db.execute(
            "DELETE FROM action WHERE number IN (SELECT number FROM action"
            " WHERE state = 'delivered' AND number <= (SELECT max(number) FROM action) - ?"
            " ORDER BY number LIMIT ?)",
            (self.actions, FORGOTTEN_AT_ONCE),
        )
        db.execute(
            "DELETE FROM action WHERE number IN (SELECT number FROM action"
            " WHERE state = 'delivered' AND changed_at < ? ORDER BY changed_at LIMIT ?)",
            ((now - self.age).isoformat(), FORGOTTEN_AT_ONCE),
        )

    def _forget_for_space(self, db: sqlite3.Connection) -> None:
        for _ in range(FORGOTTEN_AT_ONCE):
            used = _number(db, "page_count") - _number(db, "freelist_count")
            if used * _number(db, "page_size") <= self.file_bytes or not _forget_oldest(db):
                return


def _forget_oldest(db: sqlite3.Connection) -> bool:
    """Whether there was one."""
    oldest = "SELECT number FROM action WHERE state = 'delivered' ORDER BY number LIMIT 1"
    return db.execute(f"DELETE FROM action WHERE number = ({oldest})").rowcount > 0  # noqa: S608


def _shrink(db: sqlite3.Connection) -> None:
    spare = _number(db, "freelist_count") - SPARE_PAGES
    for _ in range(min(spare, PAGES_AT_ONCE)):
        db.execute("PRAGMA incremental_vacuum(1)")  # Python steps a pragma once: one page each


def _number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])
