"""What an operator can set, with the environment of Serf's own tools as the fallback.

Owns names, defaults and their checks. Must not know Serf's protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flyte_pack_kit import check_more_than_zero, complete, read_address

_ENVIRONMENT = {"rpc_address": "SERF_RPC_ADDR", "rpc_auth_key": "SERF_RPC_AUTH"}
_DEFAULT_ADDRESS = "127.0.0.1:7373"


@dataclass(frozen=True, slots=True)
class SerfSettings:
    """The table ``[packs.<instance>.settings]``."""

    rpc_address: str = ""
    """The agent's ``-rpc-addr`` as ``host:port``; empty: SERF_RPC_ADDR, else 127.0.0.1:7373."""

    rpc_auth_key: str = field(default="", repr=False)
    """The agent's ``rpc_auth``; empty: the variable SERF_RPC_AUTH, else none."""

    timeout_seconds: float = 10
    """How long the agent may take for each answer."""

    longest_pause_seconds: float = 30
    """The longest pause before the pack tries again to hear events of an agent that is away."""

    go_compatible: bool = True
    """Whether to keep the Go pack's mistakes that flows may rely on; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)
        check_more_than_zero("longest_pause_seconds", self.longest_pause_seconds)

    def completed(self, environ: Mapping[str, str]) -> "SerfSettings":
        """Fill what was not set from the environment; raises ValueError."""
        found = complete(self, _ENVIRONMENT, environ, frozenset(_ENVIRONMENT))
        found = replace(found, rpc_address=found.rpc_address or _DEFAULT_ADDRESS)
        found.address()
        return found

    def address(self) -> tuple[str, int]:
        """Host and port of the agent."""
        return read_address("rpc_address", self.rpc_address, _DEFAULT_ADDRESS)
