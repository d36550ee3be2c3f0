"""Embedded flyte on an address, as configured.

Owns how store, flows, auth and web server are put together; this needs the extra ``embedded``. Must
not know hosts, packs or signals.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_host.config import EmbeddedConfig, parse_listen
from flyte_host.errors import ConfigError, StoreAway
from flyte_host.extras import needs_extra
from flyte_host.host.configured_flows import read_flows
from flyte_host.origin import is_loopback
from flyte_host.records.host_view import HostView
from flyte_host.secrets import Scrubber, Secrets
from flyte_host.thread_watch import ThreadWatch
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import GatedApp
from flyte_host.web.web_server import WebServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from flyte_host.embedded import EmbeddedFlyte
    from flyte_host.embedded.direct_app import DirectApp
    from flyte_host.embedded.herald import Waker

log = logging.getLogger(__name__)

A_DAY = 86_400
LOOK_SECONDS = 5.0
"""How often to check the store for what another process has written."""


class EmbeddedServer:
    """Embedded flyte behind its auth, served from :meth:`start` to :meth:`stop`.

    ``waker`` is told of every new action, ``on_event(pack id, name, payload)`` called for every
    event and result. Raises FlyteHostError.
    """

    def __init__(
        self,
        config: EmbeddedConfig,
        waker: "Waker | None" = None,
        watch: ThreadWatch | None = None,
        *,
        look_seconds: float = LOOK_SECONDS,
        on_event: Callable[[str, str, Any], None] | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        store = ":memory:" if config.store is None else config.store
        self._config = config
        password = _password(config, secrets or Secrets(os.environ, Scrubber()))
        self._flyte, self._direct, app = _make(config, store, waker, on_event, password)
        listen = parse_listen(config.listen)
        gated = GatedApp(app, _gate(config, listen[0]), name="embedded flyte")
        self._server = WebServer(gated, listen, name="embedded flyte", threads=16, watch=watch)
        self._is_open = config.auth is None and not is_loopback(listen[0])
        # flytes on one PostgreSQL notify each other.
        self._is_shared = isinstance(config.store, Path)
        self._look_seconds = look_seconds
        self._stopping = threading.Event()
        self._store_watch = (watch or ThreadWatch()).make_thread(
            self._watch_store, "store watch", runs_again=True
        )

    @property
    def url(self) -> str:
        """Where it is served; empty before the start."""
        return self._server.url

    def start(self) -> None:
        """Answer requests; raises FlyteHostError, and then the store is closed."""
        try:
            self._server.start()
        except BaseException:
            self._flyte.close()
            raise
        if self._is_shared:
            self._store_watch.start()
        log.info("embedded flyte at %s", self.url)
        if self._is_open:
            log.warning(
                "embedded flyte at %s accepts unauthenticated requests", self._config.listen
            )

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """The answer to a request from this process, without the server in between.

        ``target`` is path and query; ``headers`` have lower-case names. Raises
        ConnectionRefusedError after the stop, as a port does that nobody listens on.
        """
        if self._stopping.is_set():
            raise ConnectionRefusedError
        return self._direct.answer(self.url, method, target, headers, body)

    def store_bytes(self) -> int:
        """How large the store is."""
        return self._flyte.store_bytes()

    def unserved(self) -> list[str]:
        """A sentence for each command that actions wait for and nobody serves."""
        return self._flyte.unserved()

    def show_host(self, host: HostView) -> None:
        """Let the pages show the host of this process from now on."""
        self._flyte.show_host(host)

    def stop(self, wait_seconds: float = 2) -> None:
        """Stop answering within ``wait_seconds``, then close the store."""
        self._stopping.set()
        self._flyte.end_waits()
        self._server.stop(wait_seconds)
        if self._store_watch.ident is not None:
            self._store_watch.join(wait_seconds)
        self._flyte.close()

    def _watch_store(self) -> None:
        """Another process may use the store too, and queue actions for packs of this one."""
        while not self._stopping.wait(self._look_seconds):
            with suppress(StoreAway):  # requests say so; it looks again
                self._flyte.look_at_store()


def _gate(config: EmbeddedConfig, listen_host: str) -> Gate:
    """With auth a page needs a token, which no browser adds by itself."""
    return Gate(
        listen_host,
        config.hosts,
        hosts_key="hosts in [flyte.embedded] (flyte-host flyte: --hosts)",
        check_origin=config.auth is None,
    )


def _password(config: EmbeddedConfig, secrets: Secrets) -> Callable[[], str] | None:
    return None if config.store_password is None else partial(secrets.read, config.store_password)


def check_embedded(config: EmbeddedConfig, secrets: Secrets) -> list[str]:
    """Read the files of flows and auth as ``serve`` would, without a server.

    Returns the names of the flows that ``serve`` would delete, since they are no longer in any
    file. Raises ConfigError.
    """
    flyte, _, _ = _make(config, ":memory:")
    from flyte_host.embedded.flow_file import read_file_flows  # noqa: PLC0415  an extra

    with closing(flyte):
        password = _password(config, secrets)
        stored = [] if config.store is None else read_file_flows(config.store, password)
        return [name for name in stored if not flyte.has_flow(name)]


def _make(
    config: EmbeddedConfig,
    store: str | Path,
    waker: "Waker | None" = None,
    on_event: Callable[[str, str, Any], None] | None = None,
    password: Callable[[], str] | None = None,
) -> "tuple[EmbeddedFlyte, DirectApp, ASGIApp]":
    """flyte, and its apps behind auth; raises ConfigError with the problems of all files."""
    with needs_extra("embedded", "[flyte.embedded]"):
        from flyte_host.embedded import EmbeddedFlyte  # noqa: PLC0415  an extra
        from flyte_host.embedded.auth import AuthMiddleware, read_access  # noqa: PLC0415
        from flyte_host.embedded.direct_app import DirectApp  # noqa: PLC0415
    flows, problems = read_flows(config.flows)
    flyte = EmbeddedFlyte(
        store,
        waker=waker,
        on_event=on_event,
        ttl_seconds=config.ttl_days * A_DAY,
        store_password=password,
    )
    app: ASGIApp = flyte.asgi
    direct = DirectApp(flyte.router)
    with ExitStack() as on_failure:
        on_failure.callback(flyte.close)
        try:
            if config.auth is not None:
                access = read_access(config.auth, at="flyte.embedded.auth")
                app, direct = AuthMiddleware(app, access), DirectApp(flyte.router, access.denial)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)
        flyte.put_file_flows(flows)
        on_failure.pop_all()
    return flyte, direct, app
