"""The tools in the words of the protocol, by its official SDK.

Owns what a client sees of a tool and of its answer. Must not know how clients connect.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from mcp import types
from mcp.server import Server, ServerRequestContext

from flyte_host.mcp.command_tool import CommandTool
from flyte_host.mcp.tool_desk import DeskClosed, ToolDesk
from flyte_host.metadata import version
from flyte_host.model import FATAL
from flyte_host.secrets import Scrubber
from flyte_host.text import nearest

Context = ServerRequestContext[Any]


class ToolServer:
    """Answers for the tools; everything that it says is without secrets."""

    def __init__(self, tools: Sequence[CommandTool], desk: ToolDesk, scrubber: Scrubber) -> None:
        self._tools = {each.name: each for each in tools}
        self._desk = desk
        self._scrubber = scrubber
        self.server: Server[Any] = Server(
            "flyte-host",
            version=version("flyte-host"),
            instructions="Each tool runs a command of a flyte pack and answers with its event.",
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(
        self, _context: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[self._tool(each) for each in self._tools.values()])

    def _tool(self, tool: CommandTool) -> types.Tool:
        idempotent = tool.bound.command.idempotent
        return types.Tool(
            name=tool.name,
            title=tool.title,
            description=self._scrubber.scrub(tool.description),
            input_schema=self._scrubbed(tool.input_schema),
            output_schema=tool.output_schema,
            annotations=types.ToolAnnotations(
                title=tool.title,
                read_only_hint=idempotent,
                idempotent_hint=idempotent,
                destructive_hint=not idempotent,
            ),
        )

    async def _call(
        self, _context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            meant = nearest(params.name, self._tools)
            return _failed(f"no tool {params.name!r} is allowed{meant}")
        arguments = params.arguments or {}
        if problem := tool.problem_of(arguments):
            return _failed(problem)
        definition, command = tool.pack.definition, tool.bound.command.name
        try:
            result = self._desk.call(
                definition.name, definition.labels, command, tool.input_of(arguments)
            )
            body = await asyncio.wrap_future(result)
        except DeskClosed:
            return _failed(f"{tool.title} has no answer yet: flyte-host is stopping")
        return self._answer(msgspec.json.decode(body))

    def _answer(self, document: dict[str, Any]) -> types.CallToolResult:
        event = self._scrubbed({"event": document["event"], "payload": document["payload"]})
        text = msgspec.json.encode(event).decode()
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)],
            structured_content=event,
            is_error=document["event"] == FATAL,
        )

    def _scrubbed(self, value: Any) -> Any:
        """The same JSON without any secret in it."""
        match value:
            case str():
                return self._scrubber.scrub(value)
            case dict():
                return {self._scrubbed(key): self._scrubbed(each) for key, each in value.items()}
            case list() | tuple():
                return [self._scrubbed(each) for each in value]
            case int() | float() if not isinstance(value, bool):
                text = str(value)
                return value if self._scrubber.scrub(text) == text else self._scrubber.scrub(text)
        return value


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
