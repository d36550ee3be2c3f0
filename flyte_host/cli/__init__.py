"""The command line: words and exit codes; nothing else of the host imports it.

``command_line`` has the group of all commands, each of which is in a module of its name.
"""

from flyte_host.cli.command_line import main

__all__ = ["main"]
