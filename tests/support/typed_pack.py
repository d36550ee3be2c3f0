"""What the types accept and what they refuse; test_types.py checks it.

A line that ends in ``# refused`` must be an error, and no other line may be one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event as ThreadEvent
from typing import Any, assert_type

from flyte_host import (
    Action,
    Command,
    Emit,
    Event,
    EventDef,
    Handler,
    Health,
    HealthCheck,
    PackDef,
    fatal_event,
    hookimpl,
)
from flyte_host.testing import (
    Called,
    Example,
    Finished,
    FlyteCall,
    FlyteRunHost,
    FlyteRunObserver,
    FlyteServer,
    RunningHost,
    RunningObserver,
    check_contract,
    wait_until,
)

DONE = EventDef("Done", help_url="https://example.com")


@dataclass
class TypedInput:
    number: int


class TypedPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef(
            "Typed",
            commands=[
                Command("plain", self.plain, [DONE]),
                Command("with_action", self.with_action, [DONE], timeout_seconds=5),
                Command("later", self.later, [DONE], idempotent=True),
                Command("brief", lambda _: DONE(), [DONE]),
                Command("untyped", self.untyped, [DONE]),
                Command("optional", self.optional, [DONE]),
                Command("text", self.text, [DONE]),  # refused
                Command("late_text", self.late_text, [DONE]),  # refused
                Command("nothing", self.nothing, [DONE]),  # refused
                Command("no_input", self.no_input, [DONE]),  # refused
                Command("three", self.three, [DONE]),  # refused
                Command("no_events", self.plain),  # refused
                Command("an_event", self.plain, DONE),  # refused
                Command("not_called", DONE(), [DONE]),  # refused
            ],
        )

    @hookimpl
    def flyte_health_checks(self) -> Iterable[HealthCheck]:
        yield HealthCheck("up", lambda: Health(True, {"since": 1}))
        yield HealthCheck("text", lambda: "up")  # refused

    @hookimpl
    def flyte_observe(self, emit: Emit, stopping: ThreadEvent) -> None:
        emit(DONE({"number": 1}))
        emit(DONE)  # refused
        emit("Done")  # refused
        stopping.wait()

    def plain(self, input: TypedInput) -> Event:
        return DONE({"number": input.number})

    def with_action(self, input: list[str], action: Action) -> Event:
        return fatal_event(f"{action.command}: {input}")

    async def later(self, input: int) -> Event:
        return DONE(input)

    def untyped(self, input, action):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return DONE(input)

    def optional(self, input: str, action: Action | None = None) -> Event:
        return DONE(input)

    def text(self, input: str) -> str:
        return input

    async def late_text(self, input: str) -> str:
        return input

    def nothing(self, input: str) -> None:
        """Returns no event."""

    def no_input(self) -> Event:
        return DONE()

    def three(self, input: str, action: Action, more: int) -> Event:
        return DONE(more)


HANDLER: Handler = TypedPack().plain


def use_the_kit(
    flyte_call: FlyteCall,
    flyte_run_observer: FlyteRunObserver,
    flyte_server: FlyteServer,
    flyte_run_host: FlyteRunHost,
) -> None:
    called = flyte_call(TypedPack, "plain", {"number": 7}, settings={})
    assert_type(called, Called)
    assert_type(called.expect("Done", {"number": 7}), Any)
    assert_type(called.error, BaseException | None)
    called.expect(DONE)  # refused
    observer = flyte_run_observer(TypedPack)
    assert_type(observer, RunningObserver)
    assert_type(observer.stop(), list[Called])
    host = flyte_run_host({"typed": TypedPack}, packs={"typed": {"settings": {}}})
    assert_type(host, RunningHost)
    with flyte_server.away():
        flow = flyte_server.queue("Typed", "plain", {"number": 7})
    assert_type(flyte_server.finished(flow), Finished)
    flyte_server.fail_after_commit("result")
    flyte_server.fail_after_commit("results")  # refused
    check_contract(TypedPack, examples=[Example("plain", {"number": 7}, "Done")])
    check_contract(TypedPack, examples=["plain"])  # refused
    assert_type(wait_until(flyte_server.packs, "registered"), list[str])
