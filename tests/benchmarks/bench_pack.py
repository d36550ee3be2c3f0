"""The pack that benchmarks serve: two commands that return their input, one as a coroutine.

Hosts of other revisions run a copy of it, so it may use only the contract with plugins.
"""

from typing import Any

from flyte_host import Command, Event, EventDef, PackDef, hookimpl

DONE = EventDef("Done")


class BenchPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [
            Command("echo", self.echo, [DONE]),
            Command("echo-async", self.echo_later, [DONE]),
        ]
        return PackDef("Bench", commands=commands)

    def echo(self, input: Any) -> Event:
        return DONE(input)

    async def echo_later(self, input: Any) -> Event:
        return DONE(input)
