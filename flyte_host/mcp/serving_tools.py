"""Tools, served until their client or a signal ends it.

Owns the order of starting and stopping, and both ways to connect.
"""

import asyncio
import dataclasses
import logging
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from flyte_host.body_limit import BodyLimit
from flyte_host.client.token import why_no_token
from flyte_host.config import Config, parse_listen
from flyte_host.errors import ConfigError
from flyte_host.foreign_code import headline
from flyte_host.host.shutdown import StopRequest, catch_stop
from flyte_host.mcp.command_tool import CommandTool, allowed_tools
from flyte_host.mcp.tool_app import PATH, ToolApp
from flyte_host.mcp.tool_host import ToolHost
from flyte_host.mcp.tool_server import ToolServer
from flyte_host.mcp.wire_streams import WireStreams
from flyte_host.origin import is_loopback
from flyte_host.packs import ServedPacks
from flyte_host.secrets import Scrubber, SecretMissing
from flyte_host.text import counted
from flyte_host.thread_watch import ThreadWatch
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import GatedApp
from flyte_host.web.web_server import WebServer

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4_000_000
STOP_SECONDS = 0.5
"""How long answers under way may take when the server stops."""
OVERDUE_SECONDS = 1.0
NOTHING_ALLOWED = (
    'mcp.allow: found nothing, expected the commands that may be called, such as "Jira.IssueInfo" '
    'or "Jira.*"'
)


def serve_tools(
    config: Config,
    served: ServedPacks,
    environ: Mapping[str, str],
    scrubber: Scrubber,
    *,
    streams: WireStreams | None,
    state: Path | None = None,
) -> None:
    """Serve until a signal asks for the end, or ``streams`` end; raises FlyteHostError.

    Without ``streams``, clients connect over HTTP.
    """
    if state is not None:
        config = dataclasses.replace(config, mcp=dataclasses.replace(config.mcp, state=state))
    tools = _tools(config, served)
    token = _token(config, environ, scrubber) if streams is None else ""
    host = ToolHost(config, served, tools, environ, scrubber)
    server = ToolServer(tools, host.desk, scrubber)
    with catch_stop() as request:
        clients = (
            _http(config, server, token, host.watch)
            if streams is None
            else _stdio(server, streams, request)
        )
        host.watch.when_lost(request.fail)
        host.start()
        try:
            with clients:
                log.info("offering %s", counted(len(tools), "tool"))
                request.wait()
            request.end_within(host.drain_seconds + OVERDUE_SECONDS, _tell_overdue)
        finally:
            left = host.stop()
        if left:
            words = counted(left, "entry waits", "entries wait")
            log.warning("%s in the journal %s", words, config.mcp.state)
        request.end_if_failed(host.watch.problem)


def _tools(config: Config, served: ServedPacks) -> tuple[CommandTool, ...]:
    allowed = allowed_tools(served.packs, config.mcp.allow)
    for problem in allowed.problems:
        log.warning("%s", problem)
    if not allowed.tools:
        raise ConfigError(list(allowed.problems) or [NOTHING_ALLOWED])
    return allowed.tools


def _token(config: Config, environ: Mapping[str, str], scrubber: Scrubber) -> str:
    """Without one, only programs of this machine may call."""
    if config.mcp.token is None:
        host, _ = parse_listen(config.mcp.listen)
        if not is_loopback(host):
            found = f"mcp.listen: found {config.mcp.listen!r} without mcp.token"
            raise ConfigError([f"{found}, expected a loopback address or a token"])
        return ""
    try:
        token = config.mcp.token.read(environ)
    except SecretMissing as error:
        raise ConfigError([f"mcp.token: {error}"]) from error
    scrubber.learn(token)
    if problem := why_no_token(token):
        raise ConfigError([f"mcp.token {problem}"])
    return token


@contextmanager
def _http(config: Config, server: ToolServer, token: str, watch: ThreadWatch) -> Iterator[None]:
    listen = parse_listen(config.mcp.listen)
    app = ToolApp(server.server, token)
    gate = Gate(listen[0], config.mcp.hosts, hosts_key="hosts in [mcp]")
    gated = GatedApp(BodyLimit(app, MAX_BODY_BYTES), gate, name="tools")
    web = WebServer(gated, listen, name="tools", watch=watch)
    web.start()
    log.info("tools at %s%s", web.url, PATH)
    try:
        yield
    finally:
        app.close()
        web.stop(STOP_SECONDS)


@contextmanager
def _stdio(server: ToolServer, streams: WireStreams, request: StopRequest) -> Iterator[None]:
    """In a separate thread: the main one waits for signals."""
    problems: list[BaseException] = []

    async def serve() -> None:
        ends = anyio.wrap_file(streams.reads), anyio.wrap_file(streams.writes)
        async with stdio_server(*ends) as (reads, writes):
            options = server.server.create_initialization_options()
            await server.server.run(reads, writes, options)

    def run() -> None:
        try:
            _until_it_has_gone(serve())
        except BaseException as error:  # a thread's own error would be lost
            problems.append(error)
        request.set()

    thread = threading.Thread(target=run, name="stdio", daemon=True)
    thread.start()
    yield
    if problems:
        raise problems[0]


def _until_it_has_gone(serve: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(serve)
    except* OSError as gone:  # of stdin or stdout: a handler's would be an answer
        error: BaseException = gone
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        log.warning("the client disconnected: %s", headline(error))


def _tell_overdue() -> None:
    log.error("the drain is overdue; ending the process")
