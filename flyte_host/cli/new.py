"""``flyte-host new``: the project of a new pack.

Owns its options, which names are taken, and what is said at the end.
"""

import shlex
from pathlib import Path
from typing import Any

import click

from flyte_host.cli.common import echo, words_for_errors
from flyte_host.errors import FlyteHostError
from flyte_host.metadata import version
from flyte_host.scaffold.new_project import NewProject
from flyte_host.scaffold.pack_name import PackName
from flyte_host.secrets import Scrubber

LONGEST_PACK = 40


def _pack_name(_ctx: Any, _param: Any, text: str) -> PackName:
    try:
        return PackName.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _extended_pack(_ctx: Any, _param: Any, text: str | None) -> str:
    """The name of a pack in flyte, as written in code, YAML and Markdown without quotes."""
    if text is None or (text.isascii() and text.isidentifier() and len(text) <= LONGEST_PACK):
        return text or ""
    raise click.BadParameter("expected the name of a pack in flyte, such as Shell")


@click.command()
@click.argument("name", callback=_pack_name)
@click.option("--observer", is_flag=True, help="With an event that the pack raises by itself.")
@click.option(
    "--add-on",
    "extends",
    metavar="PACK",
    callback=_extended_pack,
    help="With an add-on that adds a command to somebody else's pack PACK.",
)
@click.option("--folder", type=click.Path(path_type=Path),
              help="Where the project goes, instead of flyte-pack-NAME here.")  # fmt: skip
def new(*, name: PackName, observer: bool, extends: str, folder: Path | None) -> None:
    """Start the project of a new pack.

    It has code, tests, a flow, a README, CI and a Dockerfile. NAME is the pack's: PagerDuty, "pager
    duty" and flyte-pack-pager-duty all lead to the pack PagerDuty in the folder
    flyte-pack-pager-duty. Nothing is overwritten.
    """
    if extends.casefold() == name.in_flyte.casefold():
        raise click.BadParameter(
            f"found {extends}, the pack of this project itself: expected somebody else's",
            param_hint="--add-on",
        )
    target = folder or Path(name.distribution)
    project = NewProject(name, _host_version(), observer, extends)
    with words_for_errors(Scrubber()):
        _refuse_taken(name)
        for path in project.write(target):
            echo(f"wrote {target / path}")
    place = shlex.quote(str(target))
    echo(f"the pack {name.in_flyte} is in {place}; its README.md says what to do next")


def _host_version() -> str:
    """``0.1`` for 0.1.3: a project works with every release that keeps its promises."""
    return ".".join(version("flyte-host").split(".")[:2])


def _refuse_taken(name: PackName) -> None:
    """A host refuses both of two plugins with one name, and pip replaces one of two projects."""
    # Not for --help:
    from importlib_metadata import distributions  # noqa: PLC0415

    from flyte_host.plugins.discovery import discover  # noqa: PLC0415

    for plugin in discover():
        if plugin.name == name.plugin and plugin.distribution != name.distribution:
            raise FlyteHostError(
                f"{plugin.distribution}, which is installed here, has a plugin {name.plugin!r} "
                "already: choose another name, since a host refuses two of one name"
            )
    if any(distributions(name=name.distribution)):
        raise FlyteHostError(f"{name.distribution} is installed here already: choose another name")
