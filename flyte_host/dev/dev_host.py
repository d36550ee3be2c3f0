"""A host for the author of a plugin, in its own process.

Owns what the author sees of it. It ends with the process that watches.
"""

import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flyte_host import logs
from flyte_host.config import Config
from flyte_host.dev.author_formatter import AuthorFormatter
from flyte_host.dev.dev_config import read_dev_config
from flyte_host.dev.dev_options import DevOptions
from flyte_host.dev.event_offer import EventOffer, offer_events
from flyte_host.dev.project_folder import read_project
from flyte_host.errors import FlyteHostError
from flyte_host.host.configured_flows import read_flows
from flyte_host.host.host import Host
from flyte_host.host.serving import serve_host
from flyte_host.plugins import InstalledPlugin, discover
from flyte_host.secrets import Scrubber
from flyte_host.terminal import shows_colour
from flyte_host.text import escape_controls

LONGEST_PAYLOAD = 1_000
TO_START = "To set a flow going, run in another terminal:\n"
NO_FLOW = "No flow waits for an event: with a file in flows/, a command to raise it is shown here."

log = logging.getLogger(__name__)


def serve_folder(options: DevOptions, lifeline: int) -> None:
    """Serve until SIGTERM, or until the process at the other end of ``lifeline`` is gone."""
    os.set_inheritable(lifeline, False)  # programs that handlers start must not keep it open
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    scrubber = Scrubber()
    colour = shows_colour(sys.stderr)
    formatter = AuthorFormatter(scrubber, options.path, colour=colour)
    logs.configure("text", options.log_level, scrubber, formatter=formatter)
    logs.log_uncaught()
    with _words_for_errors(scrubber):
        project = read_project(options.path)
        sys.path[:0] = project.search_path
        config = read_dev_config(options, os.environ)
        host = Host(
            config, _installed(project.plugins, config), os.environ, scrubber, on_event=_show_event
        )
        flows = read_flows(config.embedded.flows)[0] if config.embedded else ()
        offers = offer_events(flows)
        serve_host(host, when_started=lambda: _show_offers(offers, host.flyte_url, options.state))


def _installed(own: Sequence[InstalledPlugin], config: Config) -> list[InstalledPlugin]:
    """The folder's plugins, and installed ones that the configuration names."""
    names = {plugin.name for plugin in own}
    wanted = {pack.plugin for pack in config.packs.values()} - names
    return [*own, *(plugin for plugin in discover() if plugin.name in wanted)]


def _show_event(pack_id: str, event: str, payload: Any) -> None:
    text = json.dumps(payload, ensure_ascii=False)
    if len(text) > LONGEST_PAYLOAD:
        text = f"{text[:LONGEST_PAYLOAD]}… ({len(text)} characters)"
    log.info("flyte has %s of %s: %s", event, pack_id, text)


def _show_offers(offers: Sequence[EventOffer], url: str, state: Path) -> None:
    """Print it on stdout, after the log so far, unless the previous process said the same."""
    program = _program()
    commands = (escape_controls(offer.command(program, url)) for offer in offers)
    text = "".join(f"    {command}\n" for command in commands)
    last = state / "offers"
    if last.exists() and last.read_text(encoding="utf-8") == text:
        return
    last.write_text(text, encoding="utf-8")
    logs.flush()
    click.echo(f"\n{TO_START if text else NO_FLOW}\n{text}")


def _program() -> str:
    """flyte-host as a shell finds it; with its path if the environment is not activated."""
    ours = Path(sys.executable).with_name("flyte-host")
    found = shutil.which("flyte-host")
    is_ours = found is not None and Path(found).resolve() == ours.resolve()
    return str(ours) if ours.exists() and not is_ours else "flyte-host"


@contextmanager
def _words_for_errors(scrubber: Scrubber) -> Iterator[None]:
    try:
        yield
    except FlyteHostError as error:
        for line in error.lines:
            log.error("%s", scrubber.scrub(line))
        logs.flush()
        sys.exit(error.exit_code)


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)  # nothing is ever written: this is its end
    os.kill(os.getpid(), signal.SIGTERM)
