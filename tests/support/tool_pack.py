"""Packs whose commands become tools, and the host that runs them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.config import McpConfig
from flyte_host.mcp.command_tool import allowed_tools
from flyte_host.mcp.tool_host import ToolHost
from flyte_host.secrets import Scrubber
from flyte_host.testing.serving import host_config, serving

if TYPE_CHECKING:
    from flyte_host.mcp.tool_server import ToolServer

SECRET = "hunter2hunter2"
DONE = EventDef("Done")


@dataclass
class Deploy:
    service: Annotated[str, msgspec.Meta(description="Its name.")]
    count: int = 1


class ToolPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("Deploy", self.deploy, [DONE]),
            Command("Look", self.look, [DONE], idempotent=True),
            Command("Leak", self.leak, [DONE]),
            Command("Fail", self.fail, []),
            Command("Hang", self.hang, [], timeout_seconds=60),
            Command("Odd one", lambda _: EventDef("Odd")(1), [DONE]),
        ]
        return PackDef("Tools", commands=commands)

    @hookimpl
    def flyte_observe(self) -> None:
        raise AssertionError("no observer runs beside tools")

    def deploy(self, input: Deploy) -> Event:
        """Deploy a service; the password is hunter2hunter2."""
        return DONE({"service": input.service, "count": input.count})

    def look(self, input: list[str]) -> Event:
        return DONE(input)

    def leak(self, input: Any) -> Event:
        return DONE({SECRET: [f"x{SECRET}"], "number": 12345678, "yes": True, "none": None})

    def fail(self, input: Any) -> Event:
        raise RuntimeError(f"cannot log in with {SECRET}")

    async def hang(self, input: Any) -> Event:
        raise TimeoutError


class ToolAddOn:
    @hookimpl
    def flyte_commands(self, pack: PackDef) -> Iterable[Command]:
        return [Command("Added", lambda _: DONE(pack.name), [DONE])]


@contextmanager
def tool_host(folder: Path, allow: list[str]) -> Iterator[tuple[ToolHost, "ToolServer"]]:
    """A host for the tools of ToolPack, with a secret that it knows."""
    from flyte_host.mcp.tool_server import ToolServer  # noqa: PLC0415  a second, for the SDK

    scrubber = Scrubber()
    scrubber.learn(SECRET)
    scrubber.learn("12345678")
    config = host_config("http://127.0.0.1:1", folder / "unused.db", {}, {})
    config = replace(config, mcp=McpConfig(state=folder / "mcp.db"))
    with serving({"tools": ToolPack, "add-on": ToolAddOn}, {}, scrubber) as served:
        tools = allowed_tools(served.packs, allow).tools
        host = ToolHost(config, served, tools, {}, scrubber)
        host.start()
        try:
            yield host, ToolServer(tools, host.desk, scrubber)
        finally:
            host.stop()
