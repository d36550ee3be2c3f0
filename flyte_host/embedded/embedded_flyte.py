"""A flyte server without a socket.

Wires the parts together. Must not know rules, SQL or HTTP.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from flyte_host.body_limit import BodyLimit
from flyte_host.clock import Clock
from flyte_host.embedded.announcements import read_announcement
from flyte_host.embedded.api import Api
from flyte_host.embedded.asgi_app import AsgiApp
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.datastore import Datastore
from flyte_host.embedded.decision_log import DecisionLog
from flyte_host.embedded.executions import Executions
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.flow_file import read_flow_text
from flyte_host.embedded.flow_runner import FlowRunner
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.herald import Herald, Waker
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.pages.page_source import PageSource
from flyte_host.embedded.pages.pages import Pages
from flyte_host.embedded.router import MAX_BODY_BYTES, Router
from flyte_host.embedded.store import Store
from flyte_host.embedded.sweeper import Sweeper
from flyte_host.embedded.waiting_board import WaitingBoard
from flyte_host.errors import StoreAway
from flyte_host.records.host_view import HostView

log = logging.getLogger("flyte_host.embedded")

DEFAULT_TTL_SECONDS = 366 * 86_400
"""A year, about as in the Go server."""


class EmbeddedFlyte:
    """Serve ``asgi`` with any ASGI server.

    ``store`` is the path of an SQLite file, ``":memory:"``, or the URL of a PostgreSQL database,
    for which ``store_password`` is asked at each connection. ``waker`` is told of each new action
    after its commit, ``on_event(pack id, event name, payload)`` is called after the commit of each
    event and result; both in the thread of the request. Executions unchanged for ``ttl_seconds``
    are removed. Raises :class:`FlyteHostError` if the store cannot be used.
    """

    def __init__(
        self,
        store: str | Path,
        *,
        clock: Clock | None = None,
        waker: Waker | None = None,
        on_event: Callable[[str, str, Any], None] | None = None,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        store_password: Callable[[], str] | None = None,
    ) -> None:
        self._database = open_database(store, store_password)
        clock = clock or self._database.clock()
        ids = Ids(clock)
        self._store = Store(self._database)
        datastore = Datastore(self._database)
        kept = DecisionLog()
        sweeper = Sweeper(self._database, clock, ttl_seconds=ttl_seconds)
        executions = Executions(self._database, clock, sweeper)
        self._board = WaitingBoard(executions.waiting)
        wakers = [self._board] if waker is None else [self._board, waker]
        self._herald = Herald(self._store, executions, kept, wakers=wakers, on_event=on_event)
        self._runner = FlowRunner(
            self._store,
            executions,
            make_flow_templates(datastore.get, now=clock.now, rng=clock.rng),
            ids,
            clock,
            herald=self._herald,
        )
        audit = Audit(self._database, self._store.flows, clock, kept=kept, ttl_seconds=ttl_seconds)
        api = Api(self._runner, self._store, datastore, audit, self._board, clock=clock)
        self.router = Router(api)
        self._database.listen(self._hear)
        self._pages = PageSource(
            self._database, self._store, datastore, audit, kept=kept, clock=clock
        )
        app = AsgiApp(self.router, self._board, Pages(self._pages, datastore.get))
        self.asgi = BodyLimit(app, MAX_BODY_BYTES)

    def show_host(self, host: HostView) -> None:
        """Let the pages show the host of this process from now on."""
        self._pages.host = host

    def unserved(self) -> list[str]:
        """A sentence for each command that actions wait for but no pack serves."""
        return [str(each) for each in self._pages.unserved()]

    def put_flow(self, text: str, *, source: str) -> str:
        """Store the flow in ``text`` (YAML or JSON) and return its name.

        Does nothing if the same flow is stored already. Raises :class:`FlowInvalid`, which
        names ``source``, the lines where known, and all problems.
        """
        flow = read_flow_text(text, source=source)
        if self._store.flows.get(flow.name) != flow:
            self._runner.put_flow(flow)
        return flow.name

    def put_file_flows(self, flows: Sequence[Flow]) -> None:
        """Make ``flows`` the flows that come from files.

        A flow that came from a file and is not among them is deleted, and the log says so; flows
        that were posted stay.
        """
        for flow in flows:
            if self._store.flows.get(flow.name) != flow:
                self._runner.put_flow(flow, is_from_file=True)
            self._store.flows.own(flow.name)
        for name in set(self._store.flows.from_files()) - {flow.name for flow in flows}:
            log.warning("flow %s is no longer in any file: deleting it", name, extra={"flow": name})
            self._runner.delete_flow(name)

    def has_flow(self, name: str) -> bool:
        return self._store.flows.get(name) is not None

    def look_at_store(self) -> None:
        """Tell the waker of all waiting actions if another process has written to the store.

        Call it now and then if the store is shared: nothing else reports that.
        """
        if self._database.was_changed():
            self._herald.tell_of_waiting()

    def _hear(self, text: str) -> None:
        """Hear what another process on the store announces; empty: anything may have happened."""
        announcement = read_announcement(text) if text else None
        if announcement is not None or not text:
            self._herald.hear(announcement)

    def store_bytes(self) -> int:
        """How large the store is."""
        return self._database.size_bytes()

    def end_waits(self) -> None:
        """Answer the requests that hosts keep open, before the server stops."""
        self._board.close()

    def close(self) -> None:
        """Close the store; later requests are answered with 500. A second call does nothing."""
        if not self._database.closed:
            with suppress(StoreAway):  # packs that are still there are seen again
                self._store.packs.store_seen()
            self._database.close()
