"""A host from its configuration to its end.

Owns the life: health pages first and last, embedded flyte around the pipeline. Must not know how
actions travel.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flyte_host import forks
from flyte_host.body_limit import BodyLimit
from flyte_host.clock import Clock
from flyte_host.config import Config, parse_listen, secret_variables
from flyte_host.config.clear_secrets import clear_secrets
from flyte_host.control.control_server import ControlError, ControlServer, socket_of
from flyte_host.control.controls import Controls
from flyte_host.errors import FlyteHostError, PluginError
from flyte_host.foreign_code import headline, run_within
from flyte_host.health.own_host import OwnHost
from flyte_host.health.pages import HealthApp
from flyte_host.host.embedded_server import EmbeddedServer
from flyte_host.packs import ServedPacks, log_problems, merge_packs
from flyte_host.pipeline.parts import Parts, make_parts
from flyte_host.pipeline.pipeline import Pipeline
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.plugins import InstalledPlugin, Loader
from flyte_host.secrets import Scrubber, Secrets
from flyte_host.thread_watch import ThreadWatch
from flyte_host.traces import make_tracer
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import GatedApp
from flyte_host.web.web_server import WebServer

log = logging.getLogger(__name__)

SERVER_SECONDS = 0.1
"""How long a web server may take to end after the drain."""


class Host:
    """One host: :meth:`start`, then :meth:`stop`; two of them can live in one process.

    ``on_event(pack id, name, payload)`` is called for what embedded flyte gets.
    """

    def __init__(
        self,
        config: Config,
        installed: Sequence[InstalledPlugin],
        environ: Mapping[str, str],
        scrubber: Scrubber,
        *,
        on_event: Callable[[str, str, Any], None] | None = None,
    ) -> None:
        self._config = config
        self._on_event = on_event
        self._environ = environ
        self._scrubber = scrubber
        self._clock = Clock()
        self.watch = ThreadWatch()
        self.schedule = Schedule(
            config.host.poll_interval_seconds, self._clock, is_told=config.embedded is not None
        )
        self._starting = threading.Lock()
        self._stopped = False
        self._health_server: WebServer | None = None
        self._flyte: EmbeddedServer | None = None
        self._pipeline: Pipeline | None = None
        self._control: ControlServer | None = None
        secret = secret_variables(config)
        self._loader = Loader(installed, environ, scrubber, secret_variables=secret)
        self._health = HealthApp(scrubber, self._loader, self._clock, self.watch)

    @property
    def health_url(self) -> str:
        """Where the health pages are."""
        return "" if self._health_server is None else self._health_server.url

    @property
    def flyte_url(self) -> str:
        """Where flyte is."""
        return self._config.flyte.url or "" if self._flyte is None else self._flyte.url

    @property
    def parts(self) -> Parts:
        """The parts of its pipeline; raises FlyteHostError while it does not run."""
        if self._pipeline is None:
            raise FlyteHostError("the host does not run")
        return self._pipeline.parts

    @property
    def drain_seconds(self) -> float:
        """How long a stop may take, without closing."""
        return self._config.host.drain_seconds

    def start(self, *, strict: bool = False) -> None:
        """Serve; flyte need not be there yet. Raises FlyteHostError with nothing left running.

        A stop from another thread ends it too, whatever plugin is being loaded.
        """
        try:
            with self._starting:
                self._start_servers()
            served = self._load(strict=strict)
            with self._starting:
                self._start_pipeline(served)
        except BaseException:
            self.stop(drain_seconds=0)
            raise

    def stop(self, drain_seconds: float | None = None) -> int:
        """Stop within the drain's seconds; returns how much the journal keeps for the next run.

        A host that is not running has nothing to stop: calling it again is allowed.
        """
        deadline = self._clock.monotonic() + (
            self.drain_seconds if drain_seconds is None else drain_seconds
        )
        self._stopped = True
        self.schedule.stop()  # before all that may take time: no take begins from now on
        self._health.stop()
        if self._starting.acquire(timeout=max(0.0, deadline - self._clock.monotonic())):
            self._starting.release()
        pipeline, self._pipeline = self._pipeline, None
        flyte, self._flyte = self._flyte, None
        pages, self._health_server = self._health_server, None
        control, self._control = self._control, None
        if control is not None:
            control.stop()
        left = 0 if pipeline is None else pipeline.stop(deadline)
        self._loader.close()
        if flyte is not None:
            _stop_flyte(flyte)
        if pages is not None:
            pages.stop(SERVER_SECONDS)
        return left

    def _start_servers(self) -> None:
        self._check_not_stopped()
        listen = parse_listen(self._config.health.listen)
        key = "hosts in [health]"
        gate = Gate(listen[0], self._config.health.hosts, hosts_key=key)
        pages = GatedApp(BodyLimit(self._health, 0), gate, name="health pages")
        self._health_server = WebServer(pages, listen, name="health pages", watch=self.watch)
        self._health_server.start()
        log.info("health pages at %s", self._health_server.url)
        if self._config.embedded is not None:
            self._flyte = EmbeddedServer(
                self._config.embedded, self.schedule, self.watch, on_event=self._on_event,
                secrets=Secrets(self._environ, self._scrubber),
            )  # fmt: skip
            self._flyte.start()
        self._keep_from_children(self._config.host.state)

    def _keep_from_children(self, state: Path) -> None:
        """Processes that plugins fork must not keep the journal, the store, or a port."""
        forks.own_file(state)
        forks.own_socket(socket_of(state))
        servers = [self._health_server, self._flyte]
        for url in (each.url for each in servers if each is not None):
            forks.own_port(urlsplit(url).port or 0)
        if self._config.embedded is not None and isinstance(self._config.embedded.store, Path):
            forks.own_file(self._config.embedded.store)

    def _start_pipeline(self, served: ServedPacks) -> None:
        self._check_not_stopped()
        parts = make_parts(
            self._config, self.flyte_url, served, self.schedule, self._scrubber, self._environ,
            clock=self._clock, watch=self.watch,
            application=None if self._flyte is None else self._flyte.answer,
            tracer=make_tracer(
                self._config.traces, Secrets(self._environ, self._scrubber), self._scrubber
            ),
        )  # fmt: skip
        self._pipeline = Pipeline(parts)
        self._health.watch(parts, self._flyte)
        if self._flyte is not None:
            self._flyte.show_host(OwnHost(parts, self._scrubber))
        self._pipeline.start()
        self._listen_to_ctl(Controls(parts))

    def _check_not_stopped(self) -> None:
        if self._stopped:
            raise FlyteHostError("the host was stopped while it started")

    def _listen_to_ctl(self, controls: Controls) -> None:
        """Serve even if the control socket cannot be opened."""
        try:
            place = socket_of(self._config.host.state)
            self._control = ControlServer(place, controls.answer, self.watch)
        except ControlError as error:
            log.warning("flyte-host ctl cannot reach this host: %s", error)

    def _load(self, *, strict: bool) -> ServedPacks:
        for key in clear_secrets(self._config):
            log.warning("%s looks like a secret in clear text; write a reference instead", key)
        served = merge_packs(self._loader.load(self._config.packs), self._config)
        if strict and served.broken:
            raise PluginError("broken plugins (--strict): " + "; ".join(
                f"{each.config.pack_key}: {each.problem}" for each in served.broken
            ))  # fmt: skip
        log_problems(served)
        if not served.packs and (served.broken or served.not_set_up):
            log.warning(
                "no pack is served: plugins are broken or not set up; flyte-host packs says why"
            )
        elif not served.packs:
            log.warning("no pack is served: install plugins; flyte-host packs shows what there is")
        return served


def _stop_flyte(flyte: EmbeddedServer) -> None:
    try:
        run_within(2 * SERVER_SECONDS, lambda: flyte.stop(SERVER_SECONDS))
    except Exception as error:
        log.warning("embedded flyte was not stopped cleanly: %s", headline(error))
