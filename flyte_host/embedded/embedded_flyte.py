"""A flyte server without a socket.

Owns which part is made from which. Must not know rules, SQL or HTTP.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_host.clock import Clock
from flyte_host.embedded.api import Api
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.database import Database
from flyte_host.embedded.executions import Executions
from flyte_host.embedded.flask_app import create_app
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.flow_runner import FlowRunner, Waker
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.store import Store
from flyte_host.embedded.yaml_codec import read_text, yaml_lines

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DEFAULT_TTL_SECONDS = 31_557_600
"""A year, as in the Go server."""


class EmbeddedFlyte:
    """Serve ``wsgi`` with any WSGI server; threads are fine.

    ``store`` is the path of an SQLite file or ``":memory:"``. ``waker`` is told of each new action
    after its commit, ``on_event(pack id, event name, payload)`` is called after the commit of each
    event and result; both in the thread of the request. Executions unchanged for ``ttl_seconds``
    are removed. Raises :class:`FlyteHostError` if the store cannot be used.
    """

    wsgi: "WSGIApplication"

    def __init__(
        self,
        store: str | Path,
        *,
        clock: Clock | None = None,
        waker: Waker | None = None,
        on_event: Callable[[str, str, Any], None] | None = None,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
    ) -> None:
        clock = clock or Clock()
        ids = Ids(clock)
        self._database = Database(store)
        self._store = Store(self._database)
        self._runner = FlowRunner(
            self._store,
            Executions(self._database, ids, clock, ttl_seconds=ttl_seconds),
            make_flow_templates(self._store.item, now=clock.now, rng=clock.rng),
            ids,
            clock,
            waker=waker,
            on_event=on_event,
        )
        audit = Audit(self._database, self._store, clock, ttl_seconds=ttl_seconds)
        self.wsgi = create_app(Api(self._runner, self._store, audit, clock)).wsgi_app

    def put_flow(self, text: str, *, source: str) -> str:
        """Store the flow in ``text`` (YAML or JSON) and return its name.

        A flow that is stored already in the same words is left alone. Raises
        :class:`FlowInvalid`, which names ``source``, the lines where known, and all problems.
        """
        flow = read_flow(_read(text, source), source=source, lines=yaml_lines(text))
        if self._store.flow(flow.name) != flow:
            self._runner.put_flow(flow)
        return flow.name

    def close(self) -> None:
        """Close the store; later requests are answered with 500."""
        self._database.close()


def _read(text: str, source: str) -> Any:
    try:
        return read_text(text)
    except BadDocument as error:
        raise FlowInvalid([((), str(error))], source=source) from None
