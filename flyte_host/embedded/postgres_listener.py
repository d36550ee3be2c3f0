"""Carries what processes on one PostgreSQL database tell each other, by LISTEN and NOTIFY.

Owns the connection that listens, and says when it may have missed something. These are only hints:
losing one does no harm. Must not know what the texts mean.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from flyte_host.errors import StoreAway
from flyte_host.secrets import SecretMissing
from flyte_host.thread_watch import lasting_thread

log = logging.getLogger("flyte_host.embedded")

_CHANNEL = "'flyte_host_' || md5(current_schema())"
"""A database may have several stores, each in a schema of its own."""
ANNOUNCE = f"SELECT pg_notify({_CHANNEL}, text) FROM unnest(?::text[]) AS text"  # noqa: S608
"""Sends payloads."""
LONGEST_BYTES = 7_900
"""PostgreSQL takes 8,000 bytes; a longer text is sent as an empty one."""
RECONNECT_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How often it checks whether to stop."""


class PostgresListener:
    """Calls ``hear``, in its own thread, with what other processes announce.

    An empty text means that something may have been missed: the connection was away, or a text was
    too long.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[tuple[Any, ...]]],
        hear: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._hear = hear
        self._own = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._thread = lasting_thread(self._run, "store listener")
        self._thread.start()

    def payloads(self, texts: Sequence[str]) -> list[str]:
        """``texts`` as they are sent: each with its sender."""
        return [
            f"{self._own} {text if len(text.encode()) <= LONGEST_BYTES else ''}" for text in texts
        ]

    def stop(self, wake: Callable[[str], object]) -> None:
        """Stop; ``wake`` must announce a payload, because the thread waits for one."""
        self._stopping.set()
        wake(f"{self._own} ")
        self._thread.join(2 * RECONNECT_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._listen(connection)
            except (psycopg.Error, SecretMissing, StoreAway) as error:
                log.debug("lost the listening connection: %s", error)
                self._stopping.wait(RECONNECT_SECONDS)

    def _listen(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        [(channel,)] = connection.execute(f"SELECT {_CHANNEL}").fetchall()
        connection.execute(f"LISTEN {channel}")
        self._hear("")
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=LOOK_SECONDS):
                sender, _, text = notice.payload.partition(" ")
                if self._stopping.is_set():
                    return
                if sender != self._own:
                    self._hear(text)
