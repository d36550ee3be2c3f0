"""flyte itself, in this process: its API as an ASGI app, its flows, its store in a database.

Independent of the host: it imports only a few small modules of flyte-host that know nothing about
hosts and packs. Flows and packs written for the Go server run against it unchanged;
docs/reference/embedded.md lists the differences.
"""

from flyte_host.embedded.embedded_flyte import EmbeddedFlyte
from flyte_host.embedded.flow_reader import FlowInvalid

__all__ = ["EmbeddedFlyte", "FlowInvalid"]
