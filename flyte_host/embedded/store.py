"""Packs and flows in the database, and what its other users are to hear."""

from collections.abc import Sequence

from flyte_host.embedded.announcements import Announcement, write_announcement
from flyte_host.embedded.database import Database
from flyte_host.embedded.flow_store import FlowStore
from flyte_host.embedded.pack_store import PackStore


class Store:
    """Executions and the datastore have stores of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.packs = PackStore(database)
        self.flows = FlowStore(database)

    def ping(self) -> None:
        self._database.row("SELECT 1")

    def announce(self, news: Sequence[Announcement]) -> None:
        """Tell the other flytes on the store something that is not stored."""
        self._database.announce(map(write_announcement, news))
