"""``python -m flyte_host`` is ``flyte-host``."""

from flyte_host.cli import main

main(prog_name="flyte-host")
