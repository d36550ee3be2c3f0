"""Processes that begin as copies of one which has imported the program: they start at once.

Owns what that process imports. The standard library has one fork server in a process, and the
last list that it is given counts: so there is one list.
"""

import multiprocessing
from pathlib import Path

PROGRAM = (
    "tests.support.fault_rig", "tests.support.warm_process",
    "flyte_host.cli.check", "flyte_host.cli.ctl", "flyte_host.cli.event",
    "flyte_host.cli.executions", "flyte_host.cli.flows", "flyte_host.cli.flyte",
    "flyte_host.cli.journal", "flyte_host.cli.packs", "flyte_host.cli.run", "flyte_host.cli.serve",
    "flyte_host.embedded", "flyte_host.host.host", "flyte_host.client.curl_adapter",
    "rich.console", "rich.table",
)  # fmt: skip
PACKS = [each.parent.name for each in Path(__file__).parents[2].glob("plugins/*/*/pack.py")]
"""Imported too: a host that is not told otherwise serves them all."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*PROGRAM, *PACKS])
