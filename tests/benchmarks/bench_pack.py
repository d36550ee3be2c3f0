"""The pack that benchmarks serve: two commands that return their input, one as a coroutine, and one
that says when it started.

Hosts of other revisions run a copy of it, so it may use only the contract with plugins.
"""

import socket
import time
from typing import Any

from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")


class BenchPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("echo", self.echo, [DONE]),
            Command("echo-async", self.echo_later, [DONE]),
            Command("report", self.report, [DONE]),
        ]
        return PackDef("Bench", commands=commands)

    def echo(self, input: Any) -> Event:
        return DONE(input)

    async def echo_later(self, input: Any) -> Event:
        return DONE(input)

    def report(self, input: Any) -> Event:
        """Tell a UDP port of this machine when the handler started."""
        started = time.monotonic_ns()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(str(started).encode(), ("127.0.0.1", int(input)))
        return DONE()
