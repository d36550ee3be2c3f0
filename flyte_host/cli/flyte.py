"""``flyte-host flyte``: embedded flyte alone, and copies of its store.

Owns its options and how long it runs. Must not know packs: hosts anywhere can use this flyte.
"""

import logging
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options, echo
from flyte_host.cli.inputs import config_file
from flyte_host.cli.time_zone import unknown_zone
from flyte_host.config import EmbeddedConfig, load_embedded, read_store
from flyte_host.errors import FlyteHostError
from flyte_host.extras import needs_extra
from flyte_host.host.embedded_server import EmbeddedServer
from flyte_host.host.shutdown import catch_stop
from flyte_host.secrets import Secrets, hide_memory
from flyte_host.text import counted
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)


@click.group(invoke_without_command=True)
@click.pass_context
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
    help="Another host name that clients may call it by; may be given several times.",
)
@click.option(
    "--allow-everyone",
    is_flag=True,
    help="Listen beyond loopback without auth: any program that reaches it may do anything.",
)
def flyte(
    context: click.Context,
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
    """Run flyte alone, without packs.

    It ends by SIGTERM, SIGINT or SIGHUP. Reads [flyte.embedded] of the configuration file, or takes
    its defaults: 127.0.0.1:8080, the store flyte.db, no flows. Options override it. Hosts and packs
    use it by its URL.
    """
    given = {
        "listen": listen,
        "store": store,
        "flows": list(flows) or None,
        "hosts": list(hosts) or None,
        "allow_everyone": allow_everyone or None,
    }
    over = {name: value for name, value in given.items() if value is not None}
    if context.invoked_subcommand is not None:
        if over:
            raise click.UsageError(f"{context.invoked_subcommand} has options of its own")
        return
    with command_session(log_format, log_level) as scrubber:
        hide_memory()
        if zone := unknown_zone(os.environ):
            log.warning("TZ=%s is not a known time zone: times are in UTC", zone)
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
        request.end_if_failed(watch.problem)


@flyte.command()
@common_options
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(
    *, config_path: Path | None, log_format: str, log_level: str, source: str, target: str
) -> None:
    """Copy a store, executions in flight included, into an empty one.

    FROM and TO are paths of SQLite files or URLs of PostgreSQL databases. Stop flyte first: what it
    does meanwhile is not copied. The copy is kept only if counts and checksums agree. A database's
    password is store_password of the configuration if its URL is the store there, else libpq's own:
    PGPASSWORD or ~/.pgpass.
    """
    with command_session(log_format, log_level) as scrubber:
        config = load_embedded(config_file(config_path), {})
        _copy(config, Secrets(os.environ, scrubber), source, target)


def _copy(config: EmbeddedConfig, secrets: Secrets, source: str, target: str) -> None:
    from_store, to_store = read_store(source, "FROM"), read_store(target, "TO")
    if isinstance(from_store, Path) and not from_store.exists():
        raise FlyteHostError(f"FROM: found no file {from_store}, expected a store")
    if from_store == to_store:
        raise FlyteHostError("FROM and TO are the same store, expected two")
    with needs_extra("embedded", "flyte-host flyte copy"):
        from flyte_host.embedded.database_opener import open_database  # noqa: PLC0415  an extra
        from flyte_host.embedded.table_copy import copy_store  # noqa: PLC0415
    with ExitStack() as exits:
        databases = []
        for store in (from_store, to_store):
            secret = config.store_password if store == config.store else None
            password = None if secret is None else partial(secrets.read, secret)
            databases.append(open_database(store, password))
            exits.callback(databases[-1].close)
        for each in copy_store(*databases):
            echo(f"{each.name}: {counted(each.rows, 'row')}, checksum {each.checksum}")
    echo("copied; counts and checksums agree")
