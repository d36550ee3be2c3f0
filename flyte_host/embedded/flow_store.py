"""Flows in the database, in all versions.

Owns their SQL, and which of them are kept in memory.
"""

from datetime import datetime
from threading import Lock

import msgspec

from flyte_host.embedded.codec import JSON_DECODER
from flyte_host.embedded.database import Database, Statements, from_millis, to_millis
from flyte_host.embedded.flow import Flow, flow_document
from flyte_host.embedded.flow_reader import read_stored_flow
from flyte_host.text import nearest_of_packs

MAX_CACHED_BYTES = 64_000_000
"""How long the documents of all cached flows may be together."""

MOST_VERSIONS = 10_000
"""How many versions of all flows, the newest, are searched for those of one."""


class _Named(msgspec.Struct):
    name: str


class FlowStore:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database, *, max_cached_bytes: int = MAX_CACHED_BYTES) -> None:
        self._database = database
        self._max_cached_bytes = max_cached_bytes
        self._cached_bytes = 0
        self._flows: dict[str, Flow] = {}
        self._flows_lock = Lock()

    def put(self, flow: Flow, uuid: str, time: datetime, *, is_from_file: bool = False) -> None:
        """Make ``flow`` the current version under its name."""
        document = msgspec.json.encode({"steps": []} | flow_document(flow))

        def put(db: Statements) -> None:
            _retire(db, flow.name, time)
            db.execute("INSERT INTO flow_version (uuid, document) VALUES (?, ?)", (uuid, document))
            db.execute(
                "INSERT INTO flow (name, uuid, is_from_file) VALUES (?, ?, ?)",
                (flow.name, uuid, int(is_from_file)),
            )
            db.executemany(
                "INSERT INTO flow_trigger (pack_name, event_name, flow_name) VALUES (?, ?, ?)",
                [(*trigger, flow.name) for trigger in flow.triggers()],
            )

        self._database.write(put)

    def delete(self, name: str, time: datetime) -> bool:
        return self._database.write(lambda db: _retire(db, name, time))

    def own(self, name: str) -> None:
        """Note that the flow ``name`` comes from a file."""
        own = "UPDATE flow SET is_from_file = 1 WHERE name = ?"
        self._database.write(lambda db: db.execute(own, (name,)))

    def from_files(self) -> list[str]:
        """The names of the flows that came from files."""
        rows = self._database.rows("SELECT name FROM flow WHERE is_from_file = 1 ORDER BY name")
        return [name for (name,) in rows]

    def get(self, name: str) -> Flow | None:
        row = self._database.row("SELECT uuid FROM flow WHERE name = ?", name)
        return self.version(row[0]) if row else None

    def all(self) -> list[Flow]:
        uuids = self._database.rows("SELECT uuid FROM flow ORDER BY name")
        return [flow for (uuid,) in uuids if (flow := self.version(uuid))]

    def version(self, uuid: str) -> Flow | None:
        """The version ``uuid`` of a flow; parsed once, then cached."""
        with self._flows_lock:
            if uuid in self._flows:
                return self._flows[uuid]
        row = self._database.row("SELECT document FROM flow_version WHERE uuid = ?", uuid)
        if row is None:
            return None
        flow = read_stored_flow(JSON_DECODER.decode(row[0]))
        with self._flows_lock:
            self._cached_bytes += len(row[0])
            if self._cached_bytes > self._max_cached_bytes:
                self._flows.clear()
                self._cached_bytes = len(row[0])
            self._flows[uuid] = flow
        return flow

    def versions(self, name: str) -> list[tuple[str, datetime | None]]:
        """The id of each stored version of a flow, and when it was replaced; newest first."""
        rows = self._database.rows(
            "SELECT uuid, document, replaced FROM flow_version ORDER BY uuid DESC LIMIT ?",
            MOST_VERSIONS,
        )
        return [
            (uuid, None if replaced is None else from_millis(replaced))
            for uuid, document, replaced in rows
            if msgspec.json.decode(document, type=_Named).name == name
        ]

    def nearest_trigger(self, pack_name: str, event_name: str) -> str:
        """The ``Pack.Event`` that starts flows and has a name like this one, if any."""
        rows = self._database.rows("SELECT DISTINCT pack_name, event_name FROM flow_trigger")
        known = [f"{pack}.{event}" for pack, event in rows]
        return nearest_of_packs(f"{pack_name}.{event_name}", known)


def _retire(db: Statements, name: str, time: datetime) -> bool:
    db.lock("flows")  # if two store a flow of one name, the second retires the first
    db.execute(
        "UPDATE flow_version SET replaced = ? WHERE uuid = (SELECT uuid FROM flow WHERE name = ?)",
        (to_millis(time), name),
    )
    return bool(db.execute("DELETE FROM flow WHERE name = ?", (name,)).rowcount)
