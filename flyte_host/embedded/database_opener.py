"""Opens the database that a configuration names as the store.

Only PostgreSQL needs the extra of that name.
"""

from collections.abc import Callable
from pathlib import Path

from flyte_host.embedded.database import Database
from flyte_host.embedded.sqlite_database import SqliteDatabase
from flyte_host.extras import needs_extra
from flyte_host.postgres_address import is_postgres


def open_database(store: str | Path, password: Callable[[], str] | None = None) -> Database:
    """The database at a path or URL; raises FlyteHostError if it cannot be used."""
    if not is_postgres(store):
        return SqliteDatabase(store)
    with needs_extra("embedded,postgres", "a store in PostgreSQL"):
        from flyte_host.embedded.postgres_database import PostgresDatabase  # noqa: PLC0415
    return PostgresDatabase(str(store), password)
