"""flyte itself in this process: its API as a WSGI app, its flows, its store in SQLite.

Owns the wiring of the package. A flow or a pack written for the Go server runs against it
unchanged; docs/reference/embedded.md lists the differences.
"""

import random as random_module
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_host.embedded.api import create_app
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.codec import BadDocument, read_text, yaml_lines
from flyte_host.embedded.database import Database
from flyte_host.embedded.executions import Executions
from flyte_host.embedded.flow_runner import Engine
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.flows import FlowInvalid, read_flow
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["EmbeddedFlyte", "FlowInvalid"]

DEFAULT_TTL_SECONDS = 31_557_600
"""A year, as in the Go server."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _ignore(*_: Any) -> None:
    pass


class EmbeddedFlyte:
    """A flyte server without a socket: serve ``wsgi`` with any WSGI server, threads are fine.

    ``store`` is the path of an SQLite file or ``":memory:"``. ``on_action(pack name, packLabels)``
    is called after the commit of each new action, ``on_event(pack id, event name, payload)`` after
    that of each event and result; both in the thread of the request. ``ttl_seconds``: executions
    that have not changed for so long are forgotten. Raises :class:`FlyteHostError` if the store
    cannot be used.
    """

    wsgi: "WSGIApplication"

    def __init__(
        self,
        store: str | Path,
        *,
        now: Callable[[], datetime] = _utc_now,
        random: random_module.Random | None = None,
        on_action: Callable[[str, Mapping[str, str]], None] = _ignore,
        on_event: Callable[[str, str, Any], None] = _ignore,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
    ) -> None:
        ids = Ids(now)
        self._database = Database(store)
        self._store = Store(self._database)
        executions = Executions(self._database, next_id=ids.next, now=now, ttl_seconds=ttl_seconds)
        self._engine = Engine(
            self._store,
            executions,
            make_flow_templates(self._store.item, now=now, rng=random or random_module.Random()),  # noqa: S311
            next_id=ids.next,
            now=now,
            on_action=on_action,
            on_event=on_event,
        )
        app = create_app(
            self._engine,
            self._store,
            Audit(self._database, self._store, now=now, ttl_seconds=ttl_seconds),
            now,
        )
        self.wsgi = app.wsgi_app

    def put_flow(self, text: str, *, source: str) -> str:
        """Store the one flow in ``text`` (YAML or JSON) and return its name.

        A flow that is there already, word for word, is left as it is. Raises
        :class:`FlowInvalid`, which names ``source``, lines where known, and all problems.
        """
        flow = read_flow(_read(text, source), source=source, lines=yaml_lines(text))
        if self._store.flow(flow.name) != flow:
            self._engine.put_flow(flow)
        return flow.name

    def close(self) -> None:
        """Close the store; requests that come later fail with 500."""
        self._database.close()


def _read(text: str, source: str) -> Any:
    try:
        return read_text(text)
    except BadDocument as error:
        raise FlowInvalid([((), str(error))], source=source) from None
