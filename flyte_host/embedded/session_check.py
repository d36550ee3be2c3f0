"""Whether PostgreSQL's sessions reach us whole, or a pooler gives each transaction another one.

flyte prepares statements and listens, which belong to a session. Must not know how to connect.
"""

import secrets
from collections.abc import Callable

from flyte_host.embedded.postgres_statements import Connection
from flyte_host.errors import FlyteHostError


def check_session(
    connection: Connection, connect: Callable[[], Connection], shown: str, *, seconds: float
) -> None:
    """Raises :class:`FlyteHostError` if what ``connection`` listens for does not arrive.

    Without a pooler, the server itself says so, and nothing has to arrive. ``seconds`` is how long
    it may take.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchall()[0]
    if process == connection.info.backend_pid:  # a pooler gives out numbers of its own
        return
    channel = f"flyte_host_{secrets.token_hex(8)}"
    connection.execute(f"LISTEN {channel}")
    with connect() as other:
        other.execute("SELECT pg_notify(%s, '')", (channel,))
    if not list(connection.notifies(timeout=seconds, stop_after=1)):
        raise FlyteHostError(
            f"the store {shown} is behind a pooler that does not keep a session together; flyte "
            "listens and prepares statements, so it needs PgBouncer's pool_mode = session, or "
            "PostgreSQL itself"
        )
    connection.execute(f"UNLISTEN {channel}")
