"""Flows in files: text → a flow, and which flows of a store came from files."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.yaml_codec import read_text, yaml_lines


def read_flow_text(text: str, *, source: str) -> Flow:
    """The flow in ``text`` (YAML or JSON).

    Raises :class:`FlowInvalid`, which names ``source``, the lines where known, and all problems.
    """
    try:
        document = read_text(text)
    except BadDocument as error:
        raise FlowInvalid([((), f"cannot be read: {error}")], source=source) from None
    return read_flow(document, source=source, lines=yaml_lines(text))


def read_file_flows(store: Path) -> list[str]:
    """The names of the flows in ``store`` that came from files; changes nothing.

    Empty if there is no store, or one that cannot say.
    """
    if not store.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(store))}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name FROM flow WHERE is_from_file ORDER BY name")
            return [name for (name,) in rows]
    except sqlite3.Error:
        return []
