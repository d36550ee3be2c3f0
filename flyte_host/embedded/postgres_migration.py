"""Brings the tables of a PostgreSQL store up to date.

Owns the table ``schema_version``, and that one process migrates while others wait. Must not know
what the tables mean.
"""

from collections.abc import Sequence

from flyte_host.embedded.commit_marks import FORGET
from flyte_host.embedded.commit_marks import TABLE as WRITER
from flyte_host.embedded.postgres_statements import Connection, advisory_lock
from flyte_host.errors import FlyteHostError

_TABLES = {
    "schema_version": "CREATE TABLE schema_version (version INTEGER NOT NULL)",
    "writer": WRITER,
}
_NO_LIMITS = "SELECT set_config(name, '0', true) FROM unnest(%s::text[]) AS name"
_LIMITS = ["statement_timeout", "lock_timeout"]
"""Those of requests: others wait here as long as it takes."""
_IS_THERE = "SELECT to_regclass(quote_ident(current_schema()) || '.' || %s)"


def migrate(connection: Connection, shown: str, migrations: Sequence[str]) -> None:
    """Run what the tables lack; raises :class:`FlyteHostError` if they are newer.

    Tables that are up to date need no right to create any.
    """
    with connection.transaction():
        connection.execute(_NO_LIMITS, (_LIMITS,))
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", advisory_lock("migrate"))
        for name, create in _TABLES.items():
            if connection.execute(_IS_THERE, (name,)).fetchall() == [(None,)]:
                connection.execute(create.encode())
        connection.execute(FORGET)
        (version,) = connection.execute(
            "SELECT coalesce(max(version), 0) FROM schema_version"
        ).fetchall()[0]
        if version > len(migrations):
            raise FlyteHostError(
                f"the store {shown} has schema {version}, this flyte-host knows up to "
                f"{len(migrations)}; use the newer flyte-host that wrote it"
            )
        for script in migrations[version:]:
            connection.execute(script.encode())
        if version < len(migrations):
            connection.execute("DELETE FROM schema_version")
            connection.execute("INSERT INTO schema_version VALUES (%s)", (len(migrations),))
