"""``flyte-host docs``: what flow writers have to know of a pack.

Owns options and output. Must not know what is on the page.
"""

from pathlib import Path

import click

from flyte_host.cli.common import command_session, common_options, echo, quieter
from flyte_host.cli.completion import complete_pack_key
from flyte_host.cli.inputs import read_config
from flyte_host.cli.installed_packs import find_pack, read_packs
from flyte_host.cli.pack_page import pack_page
from flyte_host.cli.page_text import as_html, as_markdown
from flyte_host.errors import FlyteHostError
from flyte_host.plugins.docstrings import read_docstrings
from flyte_host.secrets import Scrubber
from flyte_host.text import reason


@click.command()
@common_options
@click.argument("pack", shell_complete=complete_pack_key)
@click.option(
    "--format",
    "form",
    default="markdown",
    show_default=True,
    type=click.Choice(["markdown", "html"]),
    help="What to write.",
)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path),
              help="The file to write, instead of stdout.")  # fmt: skip
def docs(
    *,
    config_path: Path | None,
    log_format: str,
    log_level: str,
    pack: str,
    form: str,
    path: Path | None,
) -> None:
    """Write a page about a pack for authors of flows.

    It has the commands with their inputs and events, and the settings, labels and health checks.
    Its texts come from docstrings and types. PACK is the pack's name in the configuration or in
    flyte.
    """
    with command_session(log_format, quieter(log_level)) as scrubber:
        page = scrubber.scrub(_page(config_path, pack, form, scrubber))
        if path is not None:
            _write(path, page)
            return
    for line in page.removesuffix("\n").split("\n"):
        echo(line)


def _page(config_path: Path | None, name: str, form: str, scrubber: Scrubber) -> str:
    config = read_config(config_path, flyte_needed=False)
    with read_packs(config, scrubber) as served:
        found = find_pack(served, name)
        plugin = next(each for each in served.plugins if each.config.pack_key == found.pack_key)
        blocks = pack_page(found, plugin, read_docstrings(plugin.installed.target))
    return as_html(found.definition.name, blocks) if form == "html" else as_markdown(blocks)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise FlyteHostError(f"{path}: cannot be written: {reason(error)}") from error
