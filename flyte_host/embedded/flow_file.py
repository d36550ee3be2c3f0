"""Flows in files: text → a flow, and which flows of a store came from files."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.yaml_codec import read_text, yaml_lines
from flyte_host.extras import needs_extra

_SELECT_NAMES = "SELECT name FROM flow WHERE is_from_file = 1 ORDER BY name"


def read_flow_text(text: str, *, source: str) -> Flow:
    """The flow in ``text`` (YAML or JSON).

    Raises :class:`FlowInvalid`, which names ``source``, the lines where known, and all problems.
    """
    try:
        document = read_text(text)
    except BadDocument as error:
        raise FlowInvalid([((), f"cannot be read: {error}")], source=source) from None
    return read_flow(document, source=source, lines=yaml_lines(text))


def read_file_flows(store: Path | str, password: Callable[[], str] | None = None) -> list[str]:
    """The names of the flows in ``store`` that came from files; changes nothing.

    Empty if there is no file, or it cannot be read; raises :class:`FlyteHostError` if a
    database cannot.
    """
    if isinstance(store, str):
        with needs_extra("embedded,postgres", "a store in PostgreSQL"):
            from flyte_host.embedded.postgres_database import read_rows  # noqa: PLC0415
        return [name for (name,) in read_rows(store, password, "flow", _SELECT_NAMES)]
    if not store.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(store))}?mode=ro", uri=True)) as connection:
            return [name for (name,) in connection.execute(_SELECT_NAMES)]
    except sqlite3.Error:
        return []
