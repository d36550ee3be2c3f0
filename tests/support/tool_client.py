"""A client of tools, of the SDK of their protocol.

The SDK takes a second to import, and each process of the suite imports every module of tests: only
those that run a test with it pay that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp import StdioServerParameters
    from mcp.client.client import Client


def use_client(server: Any, use: "Callable[[Client], Awaitable[Any]]", **options: Any) -> Any:
    """What ``use`` returns; ``server`` is one of this process, of a command, or a URL."""
    from mcp.client.client import Client  # noqa: PLC0415

    async def run() -> Any:
        async with Client(server, **options) as client:
            return await use(client)

    return asyncio.run(run())


def server_of(
    command: str, arguments: list[str], folder: Path, environ: Mapping[str, str]
) -> "StdioServerParameters":
    """A server that is started for a client, which talks to it by its stdin and stdout."""
    from mcp import StdioServerParameters  # noqa: PLC0415

    return StdioServerParameters(command=command, args=arguments, cwd=folder, env=dict(environ))
