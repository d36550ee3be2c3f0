"""The datastore: items that flows and packs keep under a key.

Owns their SQL. Must not know who reads them.
"""

from flyte_host.embedded.database import Database, Statements
from flyte_host.embedded.model import DataItem

_PUT = (
    "INSERT INTO datastore (key, content_type, description, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET content_type = excluded.content_type, "
    "description = excluded.description, value = excluded.value"
)


class Datastore:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, item: DataItem, value: bytes | memoryview) -> bool:
        """Add or replace the item; returns whether it is new."""
        values = (item.key, item.content_type, item.description, value)

        def put(db: Statements) -> bool:
            known = db.execute("SELECT 1 FROM datastore WHERE key = ?", values[:1]).fetchone()
            db.execute(_PUT, values)
            return known is None

        return self._database.write(put)

    def get(self, key: str) -> tuple[str, bytes] | None:
        """(content type, value) of the item."""
        row = self._database.row("SELECT content_type, value FROM datastore WHERE key = ?", key)
        return (row[0], row[1]) if row else None

    def items(self) -> list[DataItem]:
        """All items, by key."""
        rows = self._database.rows(
            "SELECT key, content_type, description FROM datastore ORDER BY key"
        )
        return [DataItem(*row) for row in rows]

    def delete(self, key: str) -> bool:
        """Returns whether there was such an item."""
        delete = "DELETE FROM datastore WHERE key = ?"
        return self._database.write(lambda db: db.execute(delete, (key,)).rowcount > 0)
