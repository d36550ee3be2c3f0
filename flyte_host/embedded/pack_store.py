"""Packs in the database: what they are, when they were last seen, which commands they have.

Owns their SQL, and what of them is kept in memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from flyte_host.embedded.announcements import PackDeleted, PacksChanged, write_announcement
from flyte_host.embedded.database import Database, Statements, from_millis, to_millis
from flyte_host.embedded.model import (
    Labels,
    PackIdentity,
    RegisteredPack,
    fits,
    pack_id,
)
from flyte_host.records.explanation import no_such_labels, no_such_pack
from flyte_host.text import nearest

STORE_SEEN_MILLIS = 1000
"""How much newer a pack's last-seen time may be in memory than in the store."""

_PACKS_CHANGED = write_announcement(PacksChanged())


class PackAtEvent(NamedTuple):
    """A pack that raises an event, when it was last seen, and the flows that the event starts.

    Flows are given as the ids of their current versions, in the order of their names.
    """

    identity: PackIdentity
    last_seen_millis: int
    started: Sequence[str]


class PackStore:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commands: dict[str, list[tuple[Labels, frozenset[str]]]] = {}
        self._seen: dict[str, int] = {}

    def put(self, pack: RegisteredPack) -> bool:
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

    def get(self, pack_id: str) -> RegisteredPack | None:
        row = self._database.row(f"SELECT {_PACK} FROM pack WHERE id = ?", pack_id)  # noqa: S608
        if row is None:
            return None
        pack = _to_pack(row)
        return replace(pack, last_seen=self._last_seen(pack_id, row[-1]))

    def all(self) -> list[RegisteredPack]:
        """All packs, without their commands, events and links."""
        rows = self._database.rows("SELECT id, name, labels, last_seen FROM pack ORDER BY name, id")
        return [
            RegisteredPack(
                to_identity(*identity), (), (), (), self._last_seen(identity[0], last_seen)
            )
            for *identity, last_seen in rows
        ]

    def ids(self) -> set[str]:
        return {each for (each,) in self._database.rows("SELECT id FROM pack")}

    def _last_seen(self, pack_id: str, stored: int) -> datetime:
        return from_millis(max(stored, self._seen.get(pack_id, stored)))

    def delete(self, pack_id: str) -> PackIdentity | None:
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

    def at_event(self, pack_id: str, event: str) -> PackAtEvent | None:
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

    def see(self, pack_ids: Iterable[str], time: datetime) -> None:
        """Store the last-seen time of packs that are registered, in one commit."""
        # Sorted, so that no two writes deadlock.
        rows = [(to_millis(time), each) for each in sorted(pack_ids)]
        self._database.write(lambda db: db.executemany(SEE, rows))

    def store_seen(self) -> None:
        """Store all times that are kept in memory, unless another flyte has seen the pack since."""
        rows = [(millis, each, millis) for each, millis in sorted(self._seen.items())]
        self._database.write(lambda db: db.executemany(f"{SEE} AND last_seen < ?", rows))


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
