"""``flyte-host flows list``, ``show``, ``put`` and ``delete``: the flows that a flyte has.

Owns options and output. Must not know how flyte is asked or how flow files are read.
"""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from flyte_host.cli.common import echo, echo_json
from flyte_host.cli.flyte_session import flyte_options, flyte_session
from flyte_host.cli.table import print_table
from flyte_host.client.operator_client import OperatorClient
from flyte_host.errors import FlyteHostError, FlyteUnknown
from flyte_host.extras import needs_extra
from flyte_host.text import nearest

HEADS = ("FLOW", "STEPS", "WAITS FOR", "DESCRIPTION")


@click.command("list")
@flyte_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def list_command(*, as_json: bool, **session: Any) -> None:
    """List the flows that flyte has, and the events that start them."""
    with flyte_session(**session) as client:
        found = [client.flow(each.name) for each in client.flows()]
    if as_json:
        echo_json(msgspec.json.format(msgspec.json.encode({"flows": found}), indent=2).decode())
        return
    rows = []
    for flow in found:
        steps = flow.steps or []
        first = dict.fromkeys(step.event.title for step in steps if not step.depends_on)
        rows.append((flow.name, str(len(steps)), ", ".join(first) or "-", flow.description or "-"))
    if rows:
        print_table(HEADS, rows, wrapped=("FLOW", "WAITS FOR", "DESCRIPTION"))
    else:
        echo("no flow")


@click.command("show")
@flyte_options
@click.argument("name")
def show_command(*, name: str, **session: Any) -> None:
    """Show a flow that flyte has, as JSON."""
    with flyte_session(**session) as client:
        try:
            document = client.flow_document(name)
        except FlyteUnknown:
            raise _unknown(client, name) from None
    echo_json(msgspec.json.format(document, indent=2).decode())


@click.command("put")
@flyte_options
@click.argument("files", metavar="FILE...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
def put_command(*, files: tuple[Path, ...], **session: Any) -> None:
    """Store flows from files in flyte, each under its name.

    It becomes the flow's current version. A file with a problem is refused before anything is sent.
    Running executions keep their version.
    """
    with flyte_session(**session) as client:
        with needs_extra("embedded", "flows put"):
            from flyte_host.cli import flow_files  # noqa: PLC0415  an extra
        for name, document in [flow_files.read_document(each) for each in files]:
            client.put_flow(document)
            echo(f"stored flow {name}")


@click.command("delete")
@flyte_options
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def delete_command(*, names: tuple[str, ...], **session: Any) -> None:
    """Delete flows from flyte; running executions continue.

    Exit code 1 if one of them is not there; the others are deleted.
    """
    with flyte_session(**session) as client:
        missing = [name for name in names if not _delete(client, name)]
        for name in missing:
            echo(f"flyte-host: {_unknown(client, name)}", err=True)
    if missing:
        sys.exit(FlyteHostError.exit_code)


def _delete(client: OperatorClient, name: str) -> bool:
    try:
        client.delete_flow(name)
    except FlyteUnknown:
        return False
    echo(f"deleted flow {name}")
    return True


def _unknown(client: OperatorClient, name: str) -> FlyteHostError:
    known = [each.name for each in client.flows()]
    return FlyteHostError(f"flyte has no flow {name!r}{nearest(name, known)}")
