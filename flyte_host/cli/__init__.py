"""The command line: words and exit codes; nothing else of the host imports it.

``command_line`` has the group of all commands; each is in the module named after it.
"""

from flyte_host.cli.command_line import main

__all__ = ["main"]
