"""Copies a store to another database, whichever of the two kinds each is.

A copy has all rows of one moment, made in one transaction, and is checked by count and checksum
before it is kept. Must not know what flyte does with the tables.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from flyte_host.embedded.database import Database, Statements
from flyte_host.errors import FlyteHostError

_ROWS_AT_ONCE = 50
"""Rows may be as large as a request."""


class _Table(NamedTuple):
    """A table: its key, by which it is read in order, and its other columns."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    binary: frozenset[str] = frozenset()

    @property
    def all_columns(self) -> tuple[str, ...]:
        return self.key + self.columns


_DOCUMENT = frozenset({"document"})
_TABLES = (
    _Table("pack", ("id",), ("name", "labels", "document", "last_seen"), _DOCUMENT),
    _Table("flow", ("name",), ("uuid", "is_from_file")),
    _Table("flow_trigger", ("pack_name", "event_name", "flow_name"), ()),
    _Table("flow_version", ("uuid",), ("document", "replaced"), _DOCUMENT),
    _Table("execution", ("correlation_id",), ("flow_uuid", "flow_name", "changed", "revision")),
    _Table("event", ("number",), ("document",), _DOCUMENT),
    _Table(
        "action",
        ("number",),
        (
            "id", "correlation_id", "step_number", "step_id", "name", "pack_name", "pack_labels",
            "state", "states", "input", "context", "trigger_event", "result_event",
            "trace",
        ),
        frozenset({"input", "context"}),
    ),
    _Table("skipped", ("number",), ("correlation_id", "step_id", "event_number", "reason", "time")),
    _Table("datastore", ("key",), ("content_type", "description", "value"), frozenset({"value"})),
)  # fmt: skip
"""In an order in which the rows that a row refers to come first."""


class TableCopy(NamedTuple):
    """How many rows a table has, and the checksum of all of them."""

    name: str
    rows: int
    checksum: str


def copy_store(source: Database, target: Database) -> list[TableCopy]:
    """Copy all of ``source`` as of now into ``target``, which has to be empty.

    Later writes to the source are not in the copy. Raises :class:`FlyteHostError` and
    leaves the target empty if anything is wrong.
    """
    return source.read(lambda read: target.write(lambda write: _copy(read, write)))


def _copy(source: Statements, target: Statements) -> list[TableCopy]:
    target.lock("copy")  # a second copy finds the rows of the first
    found = [table.name for table in _TABLES if _digest(target, table).rows]
    if found:
        raise FlyteHostError(
            f"the store to copy to has rows in {', '.join(found)}; expected an empty one"
        )
    for table in _TABLES:
        names = ", ".join(table.all_columns)
        places = ", ".join("?" * len(table.all_columns))
        insert = f"INSERT INTO {table.name} ({names}) VALUES ({places})"  # noqa: S608
        for rows in _batches(source, table):
            target.executemany(insert, rows)
        if table.key == ("number",):
            target.count_on(table.name)
    copies = []
    for table in _TABLES:
        here, there = _digest(source, table), _digest(target, table)
        if here != there:
            raise FlyteHostError(
                f"the copy of table {table.name} differs: found {there.rows} rows with checksum "
                f"{there.checksum}, expected {here.rows} with {here.checksum}; nothing was kept"
            )
        copies.append(here)
    return copies


def _digest(db: Statements, table: _Table) -> TableCopy:
    count, checksum = 0, hashlib.sha256()
    for rows in _batches(db, table):
        count += len(rows)
        for row in rows:
            checksum.update(msgspec.msgpack.encode(row))
    return TableCopy(table.name, count, checksum.hexdigest()[:16])


def _batches(db: Statements, table: _Table) -> Iterator[list[list[Any]]]:
    """All rows, in the order of their keys."""
    names, keys = ", ".join(table.all_columns), ", ".join(table.key)
    places = ", ".join("?" * len(table.key))
    order = f"ORDER BY {keys} LIMIT {_ROWS_AT_ONCE}"
    first = f"SELECT {names} FROM {table.name} {order}"  # noqa: S608
    later = f"SELECT {names} FROM {table.name} WHERE ({keys}) > ({places}) {order}"  # noqa: S608
    found = db.execute(first).fetchall()
    while found:
        yield [_plain(table, row) for row in found]
        found = db.execute(later, found[-1][: len(table.key)]).fetchall()


def _plain(table: _Table, row: Sequence[Any]) -> list[Any]:
    """A row as both databases have it: SQLite takes text for bytes, PostgreSQL no NUL in text."""
    return [
        _bytes(value) if column in table.binary else _text(value)
        for column, value in zip(table.all_columns, row, strict=True)
    ]


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _text(value: Any) -> Any:
    text = value.decode() if isinstance(value, bytes) else value
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(text, str) else text
