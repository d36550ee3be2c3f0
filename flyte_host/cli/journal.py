"""``flyte-host journal``: what the host owes flyte, and what a person does about it.

Owns options, and which entries are meant. Must not know how entries are kept or shown, or whether a
host runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from flyte_host.cli.common import command_session, common_options, echo, echo_json, quieter
from flyte_host.cli.completion import complete_pack_key
from flyte_host.cli.entry_rows import HEADS, entry_cells, entry_documents, entry_row
from flyte_host.cli.inputs import read_config
from flyte_host.cli.running import run_and_print
from flyte_host.cli.table import print_table
from flyte_host.clock import Clock
from flyte_host.pipeline.journal import (
    Editor,
    Kind,
    State,
    adopt,
    entry_name,
    parse_name,
)
from flyte_host.text import counted

Numbered = tuple[Kind, int]


def _entry_name(value: str) -> Numbered:
    try:
        return parse_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


class ListByDefault(click.Group):
    """``journal`` and ``journal --json`` are ``journal list`` and ``journal list --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def journal() -> None:
    """List, show, retry, drop and adopt what the host owes flyte.

    Without a command it lists. Works on the file that [host] state names, whether a host runs on it
    or not: a running one notices within seconds. Entries are called r12 (an action, later its
    result) or e7 (an event).
    """


_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
_names = click.argument("names", metavar="[ENTRY]...", nargs=-1, type=_entry_name)
_parked = click.option("--parked", is_flag=True, help="All entries that are parked.")


@journal.command("list")
@common_options
@click.option("--all", "everything", is_flag=True, help="Delivered actions too.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(each) for each in State]),
    help="Only entries in this state; may be given several times.",
)
@click.option("--pack", shell_complete=complete_pack_key,
              help="Only entries of this pack, by its name in the configuration.")  # fmt: skip
@_json
def list_command(
    *, everything: bool, states: tuple[str, ...], pack: str | None, as_json: bool, **session: Any
) -> None:
    """List what is taken, waiting for flyte or parked.

    Without parameters that is all but what is delivered.
    """
    wanted = [State(each) for each in states] or [
        each for each in State if everything or each is not State.DELIVERED
    ]
    with _visit(**session) as editor:
        entries = editor.entries(wanted, pack)
    now = datetime.now(UTC)
    if as_json:
        _print_json([entry_row(each, now) for each in entries])
    elif entries:
        rows = [entry_cells(each, now) for each in entries]
        print_table(HEADS, rows, wrapped=("PACK", "COMMAND", "REASON"))
    else:
        echo(f"no entry is {' or '.join(wanted)}")


@journal.command()
@common_options
@click.argument("name", metavar="ENTRY", type=_entry_name)
def show(*, name: Numbered, **session: Any) -> None:
    """Show all of an entry as JSON.

    That is the input and result of an action, or the event.
    """
    with _visit(**session) as editor:
        contents = editor.contents(name)
    _print_json(entry_row(contents.entry, datetime.now(UTC)) | entry_documents(contents))


@journal.command()
@common_options
@_names
@_parked
@_json
def retry(*, names: tuple[Numbered, ...], parked: bool, as_json: bool, **session: Any) -> None:
    """Let parked entries wait for delivery again.

    Retries all of those named, or none. A running host tries them within seconds, else the next
    start does.
    """
    _check_which(names, parked=parked)
    with _visit(**session) as editor:
        which = _which(editor, names, parked=parked)
        editor.retry(which)
    _tell("retried", which, as_json=as_json)


@journal.command()
@common_options
@_names
@_parked
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def drop(
    *, names: tuple[Numbered, ...], parked: bool, yes: bool, as_json: bool, **session: Any
) -> None:
    """Forget entries, which flyte will then never get.

    Forgets all of those named, or none.
    """
    _check_which(names, parked=parked)
    with _visit(**session) as editor:
        which = _which(editor, names, parked=parked)
        if which and not yes:
            named = " ".join(entry_name(*each) for each in which)
            click.confirm(f"Drop {named}? They will never reach flyte", abort=True, err=True)
        editor.drop(which)
    _tell("dropped", which, as_json=as_json)


@journal.command()
@common_options
@click.argument("name", metavar="ENTRY", type=_entry_name)
def run(config_path: Path | None, log_format: str, log_level: str, name: Numbered) -> None:
    """Run an action's handler here once more and print its event.

    Its input is what the action had. The handler does its work once more; flyte is sent nothing and
    the entry stays as it is. Exit code 1 if the event is FATAL.
    """
    if name[0] is Kind.EVENT:
        raise click.UsageError(f"{entry_name(*name)} is an event: it has no input to run")
    with command_session(log_format, log_level) as scrubber:
        config = read_config(config_path, flyte_needed=False)
        with Editor(config.host.state, Clock()) as editor:
            contents = editor.contents(name)
        entry = contents.entry
        run_and_print(config, entry.pack_key, entry.command, contents.input or b"null", scrubber)


@journal.command("adopt")
@common_options
@click.argument("file", type=click.Path(path_type=Path))
@_json
def adopt_command(
    config_path: Path | None, log_format: str, log_level: str, file: Path, *, as_json: bool
) -> None:
    """Move all open entries of FILE, another journal, to this one's.

    FILE is the journal of a host that never comes back. No host may run on either. The next start
    of flyte-host serve delivers what waits, and ends or runs again what that host had begun. A kill
    in the middle leaves all entries in one of the two.
    """
    with command_session(log_format, quieter(log_level)):
        config = read_config(config_path, flyte_needed=False)
        adoption = adopt(file, config.host.state)
    if as_json:
        _print_json({"actions": adoption.actions, "events": adoption.events})
    else:
        actions, events = counted(adoption.actions, "action"), counted(adoption.events, "event")
        echo(f"adopted: {actions} and {events}")


@contextmanager
def _visit(config_path: Path | None, log_format: str, log_level: str) -> Iterator[Editor]:
    with command_session(log_format, quieter(log_level)):
        config = read_config(config_path, flyte_needed=False)
        with Editor(config.host.state, Clock()) as editor:
            yield editor


def _check_which(names: tuple[Numbered, ...], *, parked: bool) -> None:
    if bool(names) == parked:
        raise click.UsageError("name entries, or all that are parked by --parked")


def _which(editor: Editor, names: tuple[Numbered, ...], *, parked: bool) -> list[Numbered]:
    if parked:
        return [(each.kind, each.number) for each in editor.entries([State.PARKED])]
    return list(dict.fromkeys(names))


def _tell(verb: str, which: list[Numbered], *, as_json: bool) -> None:
    named = [entry_name(*each) for each in which]
    if as_json:
        _print_json({verb: named})
    else:
        echo(f"{verb}: {' '.join(named)}" if named else "nothing is parked")


def _print_json(document: Any) -> None:
    echo_json(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
