"""The command line: its commands, and how it starts and ends.

Must not import what a command needs: see ``lazy_group``.
"""

import signal
import threading
from typing import Any

import click

from flyte_host import logs
from flyte_host.cli.help_texts import restore_help
from flyte_host.cli.lazy_group import LazyGroup
from flyte_host.cli.streams import (
    check_arguments,
    open_standard_streams,
    report_full_output,
)

SUMMARIES = {
    "check": "Say whether serve would work, and what it would register.",
    "ctl": "Control a host that runs on this machine under the same user.",
    "dev": "Serve the plugin in a folder, and restart after each change.",
    "docs": "Write a page about a pack for authors of flows.",
    "event": "Raise an event of a pack, as the pack itself would.",
    "executions": "List and explain what flyte has made of events.",
    "flows": "Check, try out, list, show, put and delete flows.",
    "flyte": "Run flyte alone, without packs.",
    "journal": "List, show, retry, drop and adopt what the host owes flyte.",
    "mcp": "Offer commands of packs as tools for language models, by MCP.",
    "new": "Start the project of a new pack.",
    "packs": "List the plugins, their state and what they offer.",
    "run": "Run one handler here and print its event; no flyte is needed.",
    "serve": "Serve all packs until SIGTERM, SIGINT or SIGHUP.",
}
"""The first sentence of each command's help; the command is in the module of its name."""
COMMANDS = {name: (f"flyte_host.cli.{name}", name, text) for name, text in SUMMARIES.items()}


class CommandLine(LazyGroup):
    """Ends with its exit code even if a plugin started threads that Python would wait for."""

    def main(self, *args: Any, **more: Any) -> Any:
        open_standard_streams()
        restore_help(self)
        try:
            with report_full_output():
                return super().main(*args, **more)
        except SystemExit as done:
            own = {threading.current_thread(), threading.main_thread()}
            if any(not each.daemon for each in {*threading.enumerate()} - own):
                from flyte_host.host.shutdown import end  # noqa: PLC0415  brings all of the host

                end(done.code if isinstance(done.code, int) else 0 if done.code is None else 1)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Not exit code 1: a shell stops a loop only if a signal ended the command.
            logs.flush_to_all()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        check_arguments(args)
        return super().parse_args(ctx, args)


@click.group(
    cls=CommandLine, lazily=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="flyte-host", message="%(prog)s %(version)s")
def main() -> None:
    """Run flyte packs that are installed as Python plugins.

    Exit codes: 0 done, 1 failed at run time, 2 configuration or usage, 3 a plugin is broken (check,
    serve --strict). A signal ends the process as that signal.
    """
    logs.log_uncaught()
