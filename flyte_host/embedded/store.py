"""Packs and flows in the database.

Owns their SQL; executions and the datastore have their own modules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from flyte_host.embedded.announcements import (
    Announcement,
    PackDeleted,
    PacksChanged,
    write_announcement,
)
from flyte_host.embedded.codec import JSON_DECODER
from flyte_host.embedded.database import Database, Statements, from_millis, to_millis
from flyte_host.embedded.flow import Flow, flow_document
from flyte_host.embedded.flow_reader import read_stored_flow
from flyte_host.embedded.model import (
    Labels,
    PackIdentity,
    RegisteredPack,
    fits,
    pack_id,
)
from flyte_host.records.explanation import no_such_labels, no_such_pack
from flyte_host.text import nearest, nearest_of_packs

MAX_CACHED_BYTES = 64_000_000
"""How long the documents of all cached flows may be together."""

STORE_SEEN_MILLIS = 1000
"""How much newer a pack's last-seen time may be in memory than in the store."""


MOST_VERSIONS = 10_000
"""How many versions of all flows, the newest, are searched for those of one."""


_PACKS_CHANGED = write_announcement(PacksChanged())


class _Named(msgspec.Struct):
    name: str


class PackAtEvent(NamedTuple):
    """A pack that raises an event, when it was last seen, and the flows that the event starts.

    Flows are given as the ids of their current versions, in the order of their names.
    """

    identity: PackIdentity
    last_seen_millis: int
    started: Sequence[str]


class Store:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database, *, max_cached_bytes: int = MAX_CACHED_BYTES) -> None:
        self._database = database
        self._max_cached_bytes = max_cached_bytes
        self._cached_bytes = 0
        self._flows: dict[str, Flow] = {}
        self._flows_lock = Lock()
        self._commands: dict[str, list[tuple[Labels, frozenset[str]]]] = {}
        self._seen: dict[str, int] = {}

    def ping(self) -> None:
        self._database.row("SELECT 1")

    def announce(self, news: Sequence[Announcement]) -> None:
        """Tell the other flytes on the store something that is not stored."""
        self._database.announce(map(write_announcement, news))

    # -- packs -----------------------------------------------------------------------------

    def put_pack(self, pack: RegisteredPack) -> bool:
        """Add or replace the pack; returns whether it is new."""
        document = msgspec.json.encode(
            {"commands": pack.commands, "events": pack.events, "links": pack.links}
        )
        labels = msgspec.json.encode(pack.sender.labels).decode()
        values = (pack.sender.id, pack.sender.name, labels, document, to_millis(pack.last_seen))

        def put(db: Statements) -> bool:
            known = db.execute("SELECT 1 FROM pack WHERE id = ?", values[:1]).fetchone()
            db.execute(_PUT_PACK, values)
            db.announce([_PACKS_CHANGED])
            self._seen.pop(pack.sender.id, None)
            return known is None

        is_new = self._database.write(put)
        self.forget_commands()
        return is_new

    def pack(self, pack_id: str) -> RegisteredPack | None:
        row = self._database.row(f"SELECT {_PACK} FROM pack WHERE id = ?", pack_id)  # noqa: S608
        if row is None:
            return None
        pack = _to_pack(row)
        return replace(pack, last_seen=self._last_seen(pack_id, row[-1]))

    def packs(self) -> list[RegisteredPack]:
        """All packs, without their commands, events and links."""
        rows = self._database.rows("SELECT id, name, labels, last_seen FROM pack ORDER BY name, id")
        return [
            RegisteredPack(
                to_identity(*identity), (), (), (), self._last_seen(identity[0], last_seen)
            )
            for *identity, last_seen in rows
        ]

    def pack_ids(self) -> set[str]:
        return {each for (each,) in self._database.rows("SELECT id FROM pack")}

    def _last_seen(self, pack_id: str, stored: int) -> datetime:
        return from_millis(max(stored, self._seen.get(pack_id, stored)))

    def delete_pack(self, pack_id: str) -> PackIdentity | None:
        """Returns which pack that was; None: there is none."""

        def delete(db: Statements) -> PackIdentity | None:
            one = "DELETE FROM pack WHERE id = ? RETURNING id, name, labels"
            row = db.execute(one, (pack_id,)).fetchone()
            if row is None:
                return None
            pack = to_identity(*row)
            self._seen.pop(pack_id, None)
            db.announce([write_announcement(PackDeleted(pack.name, pack.labels))])
            return pack

        deleted = self._database.write(delete)
        self.forget_commands()
        return deleted

    def forget_commands(self) -> None:
        """Read again which commands packs have."""
        self._commands = {}

    def why_nobody_serves(self, pack_name: str, labels: Labels, command: str) -> str:
        """A sentence if no such pack is registered, or none has the command; else empty."""
        # Another thread may clear the cache meanwhile: fill only the one that is here now.
        cache = self._commands
        packs = cache.get(pack_name) or self._commands_of(pack_name)
        if not packs:
            names = [name for (name,) in self._database.rows("SELECT DISTINCT name FROM pack")]
            return no_such_pack(pack_name, names)
        cache[pack_name] = packs
        fitting = [commands for own_labels, commands in packs if fits(labels, own_labels)]
        if not fitting:
            ids = sorted(pack_id(pack_name, own_labels) for own_labels, _ in packs)
            return no_such_labels(pack_name, labels, ids)
        if any(command in commands for commands in fitting):
            return ""
        known = frozenset().union(*fitting)
        return f"pack {pack_name!r} has no command {command!r}{nearest(command, known)}"

    def _commands_of(self, pack_name: str) -> list[tuple[Labels, frozenset[str]]]:
        """The labels of each pack with this name, and the names of its commands."""
        rows = self._database.rows("SELECT labels, document FROM pack WHERE name = ?", pack_name)
        return [
            (
                msgspec.json.decode(labels),
                frozenset(str(each["name"]) for each in msgspec.json.decode(document)["commands"]),
            )
            for labels, document in rows
        ]

    def pack_at_event(self, pack_id: str, event: str) -> PackAtEvent | None:
        """The pack, and what its event starts; None: no such pack."""
        rows = self._database.rows(_SELECT_AT_EVENT, event, pack_id)
        if not rows:
            return None
        started = [uuid for *_, uuid in rows if uuid is not None]
        return PackAtEvent(to_identity(*rows[0][:3]), rows[0][3], started)

    def note_seen(self, pack_id: str, time: datetime, *, stored: int) -> bool:
        """Set the pack's last-seen time in memory if that is enough; False: it has to be stored.

        ``stored`` is what the database has. It is stored at most once a second, and by
        :meth:`store_seen`: a take that finds nothing writes nothing.
        """
        millis = to_millis(time)
        will_do = 0 <= millis - stored < STORE_SEEN_MILLIS
        if will_do:
            self._seen[pack_id] = millis
        else:
            self._seen.pop(pack_id, None)
        return will_do

    def see_packs(self, pack_ids: Iterable[str], time: datetime) -> None:
        """Store the last-seen time of packs that are registered, in one commit."""
        # Sorted, so that no two writes deadlock.
        rows = [(to_millis(time), each) for each in sorted(pack_ids)]
        self._database.write(lambda db: db.executemany(SEE, rows))

    def store_seen(self) -> None:
        """Store all times that are kept in memory, unless another flyte has seen the pack since."""
        rows = [(millis, each, millis) for each, millis in sorted(self._seen.items())]
        self._database.write(lambda db: db.executemany(f"{SEE} AND last_seen < ?", rows))

    # -- flows -----------------------------------------------------------------------------

    def put_flow(
        self, flow: Flow, uuid: str, time: datetime, *, is_from_file: bool = False
    ) -> None:
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

    def delete_flow(self, name: str, time: datetime) -> bool:
        return self._database.write(lambda db: _retire(db, name, time))

    def own_flow(self, name: str) -> None:
        """Note that the flow ``name`` comes from a file."""
        own = "UPDATE flow SET is_from_file = 1 WHERE name = ?"
        self._database.write(lambda db: db.execute(own, (name,)))

    def file_flows(self) -> list[str]:
        """The names of the flows that came from files."""
        rows = self._database.rows("SELECT name FROM flow WHERE is_from_file = 1 ORDER BY name")
        return [name for (name,) in rows]

    def flow(self, name: str) -> Flow | None:
        row = self._database.row("SELECT uuid FROM flow WHERE name = ?", name)
        return self.version(row[0]) if row else None

    def flows(self) -> list[Flow]:
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


_PUT_PACK = (
    "INSERT INTO pack (id, name, labels, document, last_seen) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, labels = excluded.labels, "
    "document = excluded.document, last_seen = excluded.last_seen"
)
SEE = "UPDATE pack SET last_seen = ? WHERE id = ?"
_SELECT_AT_EVENT = (
    "SELECT id, pack.name, labels, last_seen, uuid FROM pack "
    "LEFT JOIN flow_trigger ON pack_name = pack.name AND event_name = ? "
    "LEFT JOIN flow ON flow.name = flow_name WHERE id = ? ORDER BY flow_name"
)
_PACK = "id, name, labels, document, last_seen"


def _to_pack(row: Sequence[Any]) -> RegisteredPack:
    pack_id, name, labels, document, last_seen = row
    return RegisteredPack(
        sender=to_identity(pack_id, name, labels),
        **msgspec.json.decode(document),
        last_seen=from_millis(last_seen),
    )


def to_identity(pack_id: str, name: str, labels: str) -> PackIdentity:
    return PackIdentity(pack_id, name, msgspec.json.decode(labels))


def _retire(db: Statements, name: str, time: datetime) -> bool:
    db.lock("flows")  # if two store a flow of one name, the second retires the first
    db.execute(
        "UPDATE flow_version SET replaced = ? WHERE uuid = (SELECT uuid FROM flow WHERE name = ?)",
        (to_millis(time), name),
    )
    return bool(db.execute("DELETE FROM flow WHERE name = ?", (name,)).rowcount)
