"""The command line: words and exit codes; nothing else of the host imports it.

``commands`` are those about packs, ``ctl`` those to a running host, ``flyte`` runs embedded flyte
alone, ``flows`` checks and tries flow files.
"""

from flyte_host.cli.commands import main

__all__ = ["main"]
