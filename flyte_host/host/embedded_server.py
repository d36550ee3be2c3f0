"""Embedded flyte on an address, as configured.

Owns its making: store, flows, auth, web server; and that the extra ``embedded`` is needed for it.
Must not know hosts, packs or signals.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_host.config import EmbeddedConfig, parse_listen
from flyte_host.errors import ConfigError, FlyteHostError
from flyte_host.host.gate import Gate
from flyte_host.host.gated_app import GatedApp
from flyte_host.host.web_server import WebServer
from flyte_host.origin import is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from flyte_host.embedded import EmbeddedFlyte

log = logging.getLogger(__name__)

Wake = Callable[[str, Mapping[str, str]], None]


class FlyteServer:
    """Embedded flyte, served on its address from its making on."""

    def __init__(self, config: EmbeddedConfig, wake: Wake) -> None:
        store = ":memory:" if config.store is None else config.store
        self._flyte, app = _make(config, store, wake)
        try:
            listen = parse_listen(config.listen)
            gated = GatedApp(app, _gate(config, listen[0]), name="embedded flyte")
            self._server = WebServer(gated, listen, name="embedded flyte", threads=16)
        except BaseException:
            self._flyte.close()
            raise
        self._server.start()
        self.url = self._server.url
        log.info("embedded flyte at %s", self.url)
        if config.auth is None and not is_loopback(listen[0]):
            log.warning("embedded flyte: whoever reaches %s may do everything there", config.listen)

    def stop(self, wait_seconds: float = 2) -> None:
        """Stop answering within so many seconds, then close the store."""
        self._server.stop(wait_seconds)
        self._flyte.close()


def _gate(config: EmbeddedConfig, listen_host: str) -> Gate:
    """With auth a page needs a token, and no browser adds one by itself."""
    return Gate(
        listen_host,
        config.hosts,
        hosts_key="hosts in [flyte.embedded] (flyte-host flyte: --hosts)",
        check_origin=config.auth is None,
    )


def check_embedded(config: EmbeddedConfig) -> None:
    """Read the files of flows and auth as ``serve`` would, without a server or a store."""
    flyte, _ = _make(config, ":memory:", lambda *_: None)
    flyte.close()


def _make(
    config: EmbeddedConfig, store: str | Path, wake: Wake
) -> "tuple[EmbeddedFlyte, WSGIApplication]":
    """flyte and its app behind its auth; raises ConfigError with the problems of all files."""
    with embedded_extra("[flyte.embedded]"):
        from flyte_host.embedded import EmbeddedFlyte  # noqa: PLC0415  an extra
        from flyte_host.embedded.auth import protect  # noqa: PLC0415
    flyte = EmbeddedFlyte(store, on_action=wake)
    problems = _put_flows(flyte, config.flows)
    try:
        app = protect(flyte.wsgi, config.auth)
    except ConfigError as error:
        flyte.close()
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        flyte.close()
        raise ConfigError(problems)
    return flyte, app


@contextmanager
def embedded_extra(what: str) -> Iterator[None]:
    """Around imports of what the extra brings; ``what`` needs it, as the error says."""
    try:
        yield
    except ImportError as error:
        raise FlyteHostError(
            f"{what} needs more than is installed ({error}): pip install 'flyte-host[embedded]'"
        ) from error


def _put_flows(flyte: "EmbeddedFlyte", patterns: Sequence[str]) -> list[str]:
    """Store every flow file; returns the problems of all of them."""
    problems = []
    for pattern in patterns:
        paths = sorted(glob(pattern))  # noqa: PTH207  absolute patterns
        if not paths:
            problems.append(f"flyte.embedded.flows: no file matches {pattern}")
        for path in paths:
            try:
                flyte.put_flow(Path(path).read_text(encoding="utf-8"), source=path)
            except (OSError, ValueError) as error:
                problems.append(f"flyte.embedded.flows: {path}: {error}")
    return problems
