"""A host from its configuration to its end.

Owns the life: health pages first and last, embedded flyte around the engine. Must not know how
actions travel; that is ``engine``.
"""

import logging
import time
from collections.abc import Mapping, Sequence

from flyte_host.config import Config, parse_listen
from flyte_host.config.secrets import Scrubber
from flyte_host.control import ControlError, ControlServer, socket_of
from flyte_host.engine import Engine
from flyte_host.errors import PluginError
from flyte_host.flyte_server import FlyteServer
from flyte_host.health import HealthApp
from flyte_host.plugins import Loader, Source
from flyte_host.registry import Registry, build_registry
from flyte_host.signals import stop_asked
from flyte_host.web import WebServer

log = logging.getLogger(__name__)


class Host:
    """One host: :meth:`start`, then :meth:`stop`; two of them can live in one process."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        environ: Mapping[str, str],
        scrubber: Scrubber,
    ) -> None:
        self._config = config
        self._sources = sources
        self._environ = environ
        self._scrubber = scrubber
        self._health = HealthApp(scrubber)
        self._health_server: WebServer | None = None
        self._flyte: FlyteServer | None = None
        self._engine: Engine | None = None
        self._control: ControlServer | None = None

    @property
    def health_url(self) -> str:
        """Where the health pages are."""
        return "" if self._health_server is None else self._health_server.url

    @property
    def flyte_url(self) -> str:
        """Where flyte is."""
        return self._config.flyte.url or "" if self._flyte is None else self._flyte.url

    def start(self, *, strict: bool = False) -> None:
        """Serve; flyte need not be there yet. Raises FlyteHostError with nothing left running."""
        try:
            self._start_health()
            if self._config.embedded is not None:
                self._flyte = FlyteServer(self._config.embedded, self.wake)
            registry = self._load(strict=strict)
            self._engine = Engine(
                self._config, self.flyte_url, registry, self._scrubber, self._environ
            )
            self._health.watch(self._engine.parts())
            self._engine.start()
            self._listen_to_ctl(self._engine)
        except BaseException:
            self.stop(drain_seconds=0)
            raise

    def stop(self, drain_seconds: float | None = None) -> int:
        """Stop within the drain's seconds; returns how much the journal keeps for the next run.

        A host that is not running has nothing to stop: calling it again is no error.
        """
        seconds = self._config.host.drain_seconds if drain_seconds is None else drain_seconds
        self._health.stopping = True
        engine, self._engine = self._engine, None
        flyte, self._flyte = self._flyte, None
        pages, self._health_server = self._health_server, None
        control, self._control = self._control, None
        if control is not None:
            control.stop()
        left = 0 if engine is None else engine.stop(time.monotonic() + seconds)
        if flyte is not None:
            flyte.stop()
        if pages is not None:
            pages.stop()
        return left

    def _start_health(self) -> None:
        listen = parse_listen(self._config.health.listen)
        self._health_server = WebServer(self._health, listen, name="health pages")
        self._health_server.start()
        log.info("health pages at %s", self._health_server.url)

    def _listen_to_ctl(self, engine: Engine) -> None:
        """Not to be controllable is no reason not to serve."""
        try:
            place = socket_of(self._config.host.state)
            self._control = ControlServer(place, engine.pausing().answer)
        except ControlError as error:
            log.warning("flyte-host ctl cannot reach this host: %s", error)

    def _load(self, *, strict: bool) -> Registry:
        loader = Loader(self._sources, self._environ, self._scrubber)
        registry = build_registry(loader.load(self._config.packs), self._config)
        if strict and registry.broken:
            raise PluginError("broken plugins (--strict): " + "; ".join(
                f"{each.config.instance}: {each.reason}" for each in registry.broken
            ))  # fmt: skip
        if not registry.packs:
            log.warning("no pack is served: install plugins; flyte-host packs shows what there is")
        return registry

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        """Embedded flyte has an action for a pack: no need to wait for the next poll."""
        if self._engine is not None:
            self._engine.poller.wake(pack_name, labels)


def serve(host: Host, *, strict: bool = False) -> None:
    """Run until SIGTERM or SIGINT, drain, then end by that signal; a second one ends at once."""
    with stop_asked() as asked:
        host.start(strict=strict)
        asked.wait()
        log.info("stopping: no more actions are taken, running ones may finish")
        left = host.stop()
        log.info("stopped%s", "" if not left else f"; {left} entries wait in the journal")
