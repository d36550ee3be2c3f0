"""``flyte-host flyte``: embedded flyte alone.

Owns its options and how long it runs. Must not know packs: hosts anywhere can use this flyte.
"""

import logging
import os
from pathlib import Path

import click

from flyte_host import logs
from flyte_host.cli.common import common_options, echo, words_for_errors
from flyte_host.cli.inputs import config_file
from flyte_host.config import EmbeddedConfig, load_embedded
from flyte_host.errors import FlyteHostError
from flyte_host.host.embedded_server import EmbeddedServer
from flyte_host.host.shutdown import catch_stop, end
from flyte_host.secrets import Scrubber, Secrets
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)


@click.command()
@common_options
@click.option("--listen", metavar="HOST:PORT", help="Where its API listens; port 0: any free one.")
@click.option(
    "--store",
    metavar="PATH|URL",
    help='SQLite file of its data, or postgresql://user@host/database; ":memory:" keeps nothing.',
)
@click.option(
    "--flows",
    metavar="PATTERN",
    multiple=True,
    help="Flow files to run, such as 'flows/*.yaml'; may be given several times.",
)
@click.option(
    "--hosts",
    metavar="NAME",
    multiple=True,
    help="A further host name under which it is called; may be given several times.",
)
@click.option(
    "--allow-everyone",
    is_flag=True,
    help="Listen beyond loopback without auth: every program that reaches it may do everything.",
)
def flyte(
    *,
    config_path: Path | None,
    log_format: str,
    log_level: str,
    listen: str | None,
    store: str | None,
    flows: tuple[str, ...],
    hosts: tuple[str, ...],
    allow_everyone: bool,
) -> None:
    """Run flyte alone, without packs, until SIGTERM, SIGINT or SIGHUP.

    Reads [flyte.embedded] of the configuration file, or takes its defaults: 127.0.0.1:8080, the
    store flyte.db, no flows. The options stand over it. Hosts and packs use it by its URL.
    """
    scrubber = Scrubber()
    logs.configure(log_format, log_level, scrubber)
    given = {
        "listen": listen,
        "store": store,
        "flows": list(flows) or None,
        "hosts": list(hosts) or None,
        "allow_everyone": allow_everyone or None,
    }
    over = {name: value for name, value in given.items() if value is not None}
    with words_for_errors(scrubber):
        config = load_embedded(config_file(config_path), over)
        _serve(config, Secrets(os.environ, scrubber))


def _serve(config: EmbeddedConfig, secrets: Secrets) -> None:
    with catch_stop() as request:
        watch = ThreadWatch()
        watch.when_lost(request.fail)
        server = EmbeddedServer(config, watch=watch, secrets=secrets)
        server.start()
        echo(f"flyte is at {server.url}/v1, until Ctrl-C or SIGTERM")
        request.wait()
        log.info("stopping")
        server.stop()
        log.info("stopped")
        if watch.problem and request.caught is None:
            log.error("the exit code is 1, since %s", watch.problem)
            end(FlyteHostError.exit_code)
